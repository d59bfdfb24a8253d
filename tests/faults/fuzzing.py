"""Bad files, made and read in a process of its own, so that a crash is seen: python fuzzing.py READERS COUNT SEED, with the readers' names between commas, or `all`.

Prints JSON: how many inputs, how many were refused in a sentence, how many were read, and what went wrong.
"""

import faulthandler
import json
import os
import re
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from readers import Reader, readers

import microvae as mv

#: Of a processor; a file that is waited for takes none, and on a busy machine others take them.
SECONDS = 10
WAITING = 60
BYTES = 1_000_000_000
FORBIDDEN = (
    "subprocess.Popen",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.fork",
    "socket.connect",
    "socket.getaddrinfo",
    "pickle.find_class",
    "ctypes.dlopen",
)

numbers = st.one_of(
    st.integers(-(2**65), 2**65),
    st.sampled_from([0, -1, 1, 2, 10**9, 10**12, 2**31, 2**63]),
    st.floats(),
    st.booleans(),
    st.none(),
)
texts = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        [
            "",
            "../../etc/passwd",
            "/etc/passwd",
            "<script>alert(1)</script>",
            "__import__('os').system('x')",
            "thesis",
            "uint16",
            "NaN",
            "blosc",
            "\0",
            "%s%n",
            "é" * 300,
        ]
    ),
)
trees = st.recursive(
    st.one_of(numbers, texts),
    lambda part: st.one_of(st.lists(part, max_size=4), st.dictionaries(texts, part, max_size=4)),
    max_leaves=8,
)


class Hang(BaseException):
    "Reading takes too long."


@st.composite
def bad_bytes(draw, good: bytes) -> bytes:
    "Bytes with some changes, more of them at the beginning, where headers are."
    made = bytearray(good)
    for _ in range(draw(st.sampled_from([1, 1, 2, 4, 16]))):
        if not made:
            break
        at = draw(st.integers(0, min(len(made), draw(st.sampled_from([64, 600, len(made)]))) - 1))
        change = draw(st.sampled_from(["set", "flip", "cut", "put", "end", "word"]))
        if change == "set":
            made[at] = draw(st.integers(0, 255))
        elif change == "flip":
            made[at] ^= 1 << draw(st.integers(0, 7))
        elif change == "cut":
            del made[at : at + draw(st.integers(1, 50))]
        elif change == "put":
            made[at:at] = draw(st.binary(min_size=1, max_size=20))
        elif change == "end":
            made = made[:at]
        else:
            made[at : at + 4] = draw(
                st.sampled_from([b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\x7f", b"NaN ", b"-1e9", b"99999999"])
            )
    return bytes(made)


def _places(tree, path=()):
    "All places of a tree."
    yield path
    for key in tree if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ():
        yield from _places(tree[key], (*path, key))


@st.composite
def bad_json(draw, good: bytes) -> bytes:
    "A tree with other values, without some, or with more."
    tree = json.loads(good)
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(tree))
        path = draw(st.sampled_from(places))
        if not path:
            continue
        inside = tree
        for key in path[:-1]:
            inside = inside[key]
        change = draw(st.sampled_from(["other", "gone", "more"]))
        if change == "other":
            inside[path[-1]] = draw(trees)
        elif change == "gone":
            del inside[path[-1]]
        elif isinstance(inside, dict):
            inside[draw(texts)] = draw(trees)
    return json.dumps(tree).encode("utf-8", "replace")


@st.composite
def bad_xml(draw, good: bytes) -> bytes:
    "A TIFF whose OME-XML has other attributes; its length stays, so that the rest of the file is as it was."
    start = good.index(b"<?xml")
    end = good.index(b"</OME>") + 6
    text = good[start:end].decode()
    for _ in range(draw(st.integers(1, 4))):
        found = list(re.finditer(r'"[^"]*"', text))
        one = draw(st.sampled_from(found))
        value = draw(st.one_of(texts, numbers.map(str)))
        if draw(st.booleans()):
            value = value.replace("<", "&lt;").replace('"', "&quot;").replace("\0", "")
        text = text[: one.start()] + f'"{value}"' + text[one.end() :]
    made = text.encode("utf-8", "replace")
    if len(made) <= end - start:
        made = made.replace(b"</OME>", b" " * (end - start - len(made)) + b"</OME>")
    return good[:start] + made[: end - start] + good[end:]


@st.composite
def bad_numbers(draw, good: bytes) -> bytes:
    "An ImageJ hyperstack that says other numbers of itself; the text before the pixels keeps its length."
    start = good.index(b"ImageJ=")
    end = good.index(b"\0", start)
    text = good[start:end].decode()
    for _ in range(draw(st.integers(1, 3))):
        one = draw(st.sampled_from(list(re.finditer(r"=[^\n]*", text))))
        text = text[: one.start()] + f"={draw(st.one_of(numbers.map(str), texts))}" + text[one.end() :]
    made = text.encode("utf-8", "replace")[: end - start]
    return good[:start] + made + b"\0" * (end - start - len(made)) + good[end:]


@st.composite
def bad_elements(draw, good: bytes) -> bytes:
    "An XML file whose elements say something else, or are gone."
    text = good.decode()
    for _ in range(draw(st.integers(1, 3))):
        one = draw(st.sampled_from(list(re.finditer(r"<(\w+)>([^<]*)</\1>", text))))
        value = draw(st.one_of(texts, numbers.map(str))).replace("<", "&lt;").replace("&", "&amp;")
        text = text[: one.start()] + draw(st.sampled_from(["", f"<{one[1]}>{value}</{one[1]}>"])) + text[one.end() :]
    return text.encode("utf-8", "replace")


CHANGES = {"bytes": bad_bytes, "json": bad_json, "xml": bad_xml, "elements": bad_elements, "numbers": bad_numbers}


class Watch:
    "What may not happen while a file is read."

    def __init__(self, root: Path):
        self.root = str(root)
        self.on = False
        self.seen = []
        sys.addaudithook(self)

    def __call__(self, event: str, words: tuple):
        if not self.on:
            return
        if (
            event in FORBIDDEN or event == "exec" and not os.path.exists(getattr(words[0], "co_filename", ""))
        ):  # what comes from a file is an import
            self.seen.append(f"{event} {str(words)[:100]}")
        elif (
            event == "open"
            and isinstance(words[1], str)
            and set(words[1]) & set("wax+")
            and not str(words[0]).startswith((self.root, "/dev/null"))
        ):
            self.seen.append(f"wrote {words[0]}")


def read(reader: Reader, watch: Watch) -> str:
    "Read once: `read`, `refused`, or what went wrong."
    watch.seen = []
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    signal.setitimer(signal.ITIMER_REAL, WAITING)
    faulthandler.dump_traceback_later(2 * WAITING, exit=True)
    watch.on = True
    try:
        reader.read()
        outcome = "read"
    except mv.MicroVAEError as error:
        outcome = (
            "refused"
            if "\n" not in str(error) and len(str(error)) < 600
            else f"a sentence of {len(str(error))} characters: {str(error)[:300]}"
        )
    except Hang:
        outcome = "took more than 10 s"
    except Exception as error:
        ours = [line for line in traceback.extract_tb(error.__traceback__) if "microvae" in line.filename]
        outcome = (
            f"{type(error).__name__} at {Path(ours[-1].filename).name}:{ours[-1].lineno}: {str(error)[:200]}"
            if ours
            else f"{type(error).__name__}: {error}"
        )
    finally:
        watch.on = False
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        faulthandler.cancel_dump_traceback_later()
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    if grown > BYTES:
        outcome = f"took {grown / 1e9:.1f} GB"
    return watch.seen[0] if watch.seen else outcome


def fuzz(name: str, reader: Reader, count: int, number: int, watch: Watch) -> dict:
    "So many bad files for a reader."
    good = reader.file.read_bytes()
    counts = {"read": 0, "refused": 0}
    wrong = {}
    assert read(reader, watch) == "read" or read(reader, watch) == "read", (
        f"{name}: the good file must be read: {read(reader, watch)}"
    )

    @seed(number)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(CHANGES[reader.kind](good))
    def attempt(bad):
        reader.file.write_bytes(bad)
        outcome = read(reader, watch)
        if outcome in counts:
            counts[outcome] += 1
        elif outcome not in wrong:
            wrong[outcome] = bad.hex() if len(bad) < 200 else f"{len(bad)} bytes"
            if keep := os.environ.get("MICROVAE_FAULTS_KEEP"):
                (Path(keep) / f"{re.sub('[^a-z0-9]', '_', name.lower())}_{len(wrong)}").write_bytes(bad)

    try:
        attempt()
    finally:
        reader.file.write_bytes(good)
    return counts | {"wrong": wrong}


def main(names: str, count: int, number: int):
    warnings.simplefilter("ignore")

    def too_long(*_):
        raise Hang

    for timer in (signal.SIGALRM, signal.SIGPROF):
        signal.signal(timer, too_long)
    with tempfile.TemporaryDirectory() as root:
        known = readers(Path(root))
        watch = Watch(root)
        found = {}
        chosen = list(known) if names == "all" else names.split(",")
        began = time.monotonic()
        for name in chosen:
            found[name] = fuzz(name, known[name], -(-count // len(chosen)), number, watch)
            print(name, found[name], file=sys.stderr, flush=True)
        print(
            json.dumps(
                {
                    "inputs": sum(part["read"] + part["refused"] + len(part["wrong"]) for part in found.values()),
                    "seconds": time.monotonic() - began,
                    "readers": found,
                }
            )
        )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
