"Bad files: the only outcomes are a right result or one sentence; never a traceback, a crash, a hang, or a machine without memory."

import json
import os
import random
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from harness import FULL, record, so_many

HERE = Path(__file__).parent


def fuzzed(names: str, count: int, seed: int) -> dict:
    "What came of so many bad files, read in a process of its own with not more than 16 GB of addresses."
    done = subprocess.run(
        ["bash", "-c", f"ulimit -v 16000000; exec {sys.executable} fuzzing.py '{names}' {count} {seed}"],
        cwd=HERE,
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, f"the reading process ended with {done.returncode}:\n{done.stderr[-3000:]}"
    return json.loads(done.stdout)


def test_every_reader():
    "The same inputs each time in CI, others in each full run."
    seed = random.SystemRandom().randrange(10**6) if FULL else 1
    found = fuzzed("all", so_many(10_000, 520), seed)
    wrong = {name: part["wrong"] for name, part in found["readers"].items() if part["wrong"]}
    record(
        "fuzzing",
        seed=seed,
        inputs=found["inputs"],
        seconds=round(found["seconds"]),
        readers={name: {key: part[key] for key in ("read", "refused")} for name, part in found["readers"].items()},
        wrong=wrong,
    )
    assert not wrong
    assert all(part["read"] + part["refused"] > 5 for part in found["readers"].values())
    assert sum(part["refused"] for part in found["readers"].values()) > 0.3 * found["inputs"], (
        "files that are read all the same test little"
    )


GUIDED = [
    "tiff plain",
    "tiff tiled",
    "OME-XML",
    "png",
    "a.npy",
    "table csv",
    "config.json",
    "card.json",
    "safetensors",
    "OME-Zarr .zattrs",
    "OME-Zarr 0/.zarray",
]


@pytest.mark.skipif(not FULL or find_spec("atheris") is None, reason="of the full run, where atheris can be had")
def test_guided_by_coverage():
    "A fuzzer that sees which lines a file reaches finds other files than one that changes at random."
    seed = random.SystemRandom().randrange(10**6)
    counts = {}
    for name in GUIDED:
        done = subprocess.run(
            [sys.executable, "guided.py", name, "10000", str(seed)],
            cwd=HERE,
            capture_output=True,
            text=True,
            errors="replace",
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            timeout=1800,
        )
        told = re.findall(r"COUNTS (.*)", done.stdout + done.stderr)
        assert done.returncode == 0, f"{name}: {(done.stdout + done.stderr)[-3000:]}"
        assert told, f"{name}: {(done.stdout + done.stderr)[-3000:]}"
        counts[name] = json.loads(told[-1])
    record("guided", seed=seed, inputs=sum(sum(part.values()) for part in counts.values()), readers=counts)
