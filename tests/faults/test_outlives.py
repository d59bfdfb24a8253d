"When the main process is killed, its workers end within seconds, and the next start removes what they left."

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

#: Job -> program that keeps two processes busy for minutes; its argument is a folder.
JOBS = {
    "sweep": "sweep(mv.grid(long, seed=range(2)), cells, folder=out, device='cpu', workers=2, progress=False)",
    "search": "search(long, cells, {'beta': [0.1, 1.0]}, trials=4, folder=out, device='cpu', workers=2, progress=False)",
    "one run in two processes": "mv.fit('MP2_64', cells, long, folder=out, device='cpu', processes=2, progress=False)",
    "crop": "mv.crop_fields(out + '/fields', 20, out=out + '/cells.zarr', workers=2, progress=False)",
}
PROGRAM = """
import sys
import numpy as np
import microvae as mv
from microvae.training.config import Training
from microvae.training.search import search
from microvae.training.sweep import sweep

out = sys.argv[1]
cells = mv.lung_fret(400)
long = mv.RunConfig(training=Training(epochs=100_000, batch_size=16))
{job}
"""
SECONDS = 60.0  # workers look for their parent every second, once they have imported PyTorch


def running(mark: str) -> set[int]:
    "Living processes whose environment has a mark, by number."
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            marked = mark.encode() in (folder / "environ").read_bytes()
            dead = (folder / "stat").read_text().rsplit(")", 1)[1].split()[0] in "ZX"
        except OSError:
            continue
        if marked and not dead:
            found.add(int(folder.name))
    return found


def wait_until(condition, seconds: float) -> bool:
    "Whether a condition comes true within some seconds."
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.2)
    return condition()


def fields(folder: Path):
    "Many large fields of view, so that cropping takes long."
    import numpy as np
    import tifffile

    folder.mkdir(parents=True)
    image = np.random.default_rng(0).integers(0, 4000, (1500, 1500)).astype(np.uint16)
    for number in range(60):
        tifffile.imwrite(folder / f"f{number:02d}.tif", image)


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")
@pytest.mark.parametrize("name", JOBS)
def test_workers_end_with_their_parent(tmp_path, name):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    if name == "crop":
        fields(tmp_path / "fields")
    mark = f"MICROVAE_TEST={tmp_path.name}-{name}"
    given = os.environ | dict([mark.split("=")]) | {"TMPDIR": str(temporary), "OMP_NUM_THREADS": "1"}
    program = [sys.executable, "-c", PROGRAM.replace("{job}", JOBS[name]), str(tmp_path)]
    parent = subprocess.Popen(program, env=given, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        assert wait_until(lambda: len(running(mark) - {parent.pid}) >= 2, 120), parent.stderr.read()
        if name != "crop":
            assert wait_until(lambda: list(tmp_path.rglob("config.json")), 120), "no training has begun"
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        assert wait_until(lambda: not running(mark), SECONDS), f"{len(running(mark))} processes are left"
    finally:
        for process in running(mark):
            os.kill(process, signal.SIGKILL)
    after = [sys.executable, "-c", "from microvae.core.files import working_folder\nwith working_folder(): pass"]
    subprocess.run(after, env=given, check=True)
    assert not list(temporary.glob(".microvae*"))
