"How things are made to go wrong, and how much of it: a part in CI, all of it with MICROVAE_FAULTS=full (`make faults`)."

import hashlib
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
import traceback
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest

from microvae.core.files import write_json
from microvae.study.results import provenance

FULL = os.environ.get("MICROVAE_FAULTS") == "full"
FIGURES = Path(__file__).parents[2] / ("results/reliability" if FULL else "build/reliability")
# events of the audit hook by which a process changes a file, with the number of the argument that is a path
CHANGES = {"open": 0, "os.rename": 1, "os.remove": 0, "os.mkdir": 0, "os.rmdir": 0, "os.link": 1}
context = multiprocessing.get_context("forkserver")
context.set_forkserver_preload(["jobs"])
os.environ["PYTHONPATH"] = os.pathsep.join(
    [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
)  # or the server does not find what it is to load, and does not say so


def so_many(full: int, ci: int) -> int:
    "How often something is tried."
    return full if FULL else ci


def record(what: str, **figures):
    "Keep figures for the page on reliability."
    write_json(FIGURES / f"{what}.json", figures | {"full": FULL})
    write_json(FIGURES / "provenance.json", provenance("full" if FULL else "of each change", "faults", "cpu", 0))


def _changes_of(event: str, words: tuple, folder: str) -> bool:
    "Whether an event changes a file below a folder."
    if event not in CHANGES or not isinstance(words[CHANGES[event]], (str, bytes, os.PathLike)):
        return False
    if event == "open" and not (
        isinstance(words[1], str)
        and set(words[1]) & set("wax+")
        or words[1] is None
        and words[2] & (os.O_WRONLY | os.O_RDWR)
    ):
        return False
    return os.fsdecode(words[CHANGES[event]]).startswith(folder)


def _work(job, folder: Path, die_at: int | None, told):
    "What the child does: the job, counting its changes of files, and ending at one of them as power does."
    os.setsid()
    sys.stdout = sys.stderr = open(os.devnull, "w")
    count = [0]

    def watch(event, words):
        if _changes_of(event, words, str(folder)):
            count[0] += 1
            if count[0] == die_at:
                os.killpg(0, signal.SIGKILL)

    sys.addaudithook(watch)
    try:
        job(folder)
        told.send((count[0], None))
    except BaseException as error:
        told.send(
            (count[0], f"{type(error).__name__}: {error}" if isinstance(error, ValueError) else traceback.format_exc())
        )
    os._exit(0)  # not waiting for workers that stay for a next sweep: they end when they see that nobody is left


def run(
    job, folder: Path, die_at: int | None = None, die_after: float | None = None, alone: bool = False
) -> tuple[str, int, str | None]:
    """Run a job in a process of its own, which may be killed at one of its changes of files, or after some seconds: with its children, or `alone`.

    Gives "done" or "killed", how many changes it made, and what it raised.
    """
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(job, Path(folder), die_at, theirs))
    process.start()
    theirs.close()
    if die_after is not None:
        process.join(die_after)
        if process.exitcode is None:
            with_children = os.kill if alone else os.killpg
            try:
                with_children(process.pid, signal.SIGKILL)
            except ProcessLookupError:  # it has not yet a group of its own
                os.kill(process.pid, signal.SIGKILL)
    process.join(120)
    if process.exitcode is None:
        os.killpg(process.pid, signal.SIGKILL)
        raise AssertionError("the job hangs")
    if process.exitcode == -signal.SIGKILL:
        return "killed", 0, None
    changes, error = ours.recv()
    return "done", changes, error


def contents(folder: Path) -> dict[str, str]:
    "What a folder holds: a hash of each file, of tables their content, without what tells of time."
    found = {}
    for path in sorted(Path(folder).rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_dir():
            continue
        if path.name in (
            "seconds.json",
            "notebook.ipynb",
            "stamp.json",
            "progress.json",
            "provenance.json",
            "originals.npz",
        ):
            found[name] = "there"
        elif path.suffix in (".parquet", ".csv"):
            table = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
            found[name] = hashlib.blake2b(
                table.drop(columns=[c for c in ("seconds",) if c in table]).to_csv().encode()
            ).hexdigest()
        else:
            found[name] = hashlib.blake2b(path.read_bytes()).hexdigest()
    return found


def unfinished(folder: Path) -> list[str]:
    "Files of which a half may be there, and locks."
    return [
        str(path)
        for path in Path(folder).rglob("*")
        if path.name.endswith((".partial", ".lock", ".old")) or ".part" in path.name
    ]


@contextmanager
def small_disk(place: Path, kilobytes: int):
    "A file system in memory of that size; skipped where none can be mounted. Gives a function that changes its options."
    place.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", place], capture_output=True
    ).returncode:
        pytest.skip("no file system can be mounted here: this needs root")
    try:
        yield lambda options: subprocess.run(["mount", "-o", f"remount,{options}", place], check=True)
    finally:
        for _ in range(20):
            if not subprocess.run(["umount", place], capture_output=True).returncode:
                break
            time.sleep(0.25)


def moments(seed: int) -> random.Random:
    "Random moments; another seed for each run of the whole, which the figures tell."
    return random.Random(seed)
