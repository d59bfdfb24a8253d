"A million crops, ten million rows, ten thousand runs, hours of work: what is large is slower, and takes no more memory than it says."

import json
import os
import resource
import shutil
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from harness import FULL, record, so_many

import microvae as mv
from microvae.app.card import train_model
from microvae.core.files import read_table, write_table
from microvae.training.config import ModelConfig, RunConfig, Training

STREAMED = """
import json, resource, sys, time
import numpy as np, pandas as pd
import microvae as mv
path, n, block = sys.argv[1], int(sys.argv[2]), 10_000
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
some, rng, began = mv.lung_fret(2000), np.random.default_rng(0), time.monotonic()
for start in range(0, n, block):
    rows = rng.integers(0, 2000, block)
    images = np.clip(some.images[rows] + rng.normal(0, 0.01, (block, 1, 20, 20)).astype(np.float32), 0, 1)
    mv.CellImages(images, some.table.iloc[rows].reset_index(drop=True).assign(number=range(start, start + block)), some.channels, "many").to_zarr(path, append=True)
wrote, start_memory = time.monotonic() - began, peak()
from microvae.data import collection
collection.IN_MEMORY = 50_000_000
cells = mv.load_images(path)
assert cells.stored and len(cells) == n and cells.table.number.tolist() == list(range(n))
began, seen, total, peaks = time.monotonic(), 0, 0.0, []
for batch in cells.images.batches(256, seed=1):
    seen, total = seen + len(batch), total + float(batch.sum(dtype=np.float64))
    if seen % (n // 8) < 256: peaks.append(peak())
assert seen == n
read = time.monotonic() - began
began = time.monotonic()
run = mv.fit("MP2_64", cells[:n // 10], mv.RunConfig(training=mv.Training(epochs=1, batch_size=256)), None, device="cpu", progress=False)
print(json.dumps(dict(images=n, written_per_second=round(n / wrote), read_per_second=round(n / read), megabytes_after_a_quarter=round(peaks[1]), megabytes_at_the_end=round(peaks[-1]), trained_per_second=round(n / 10 / (time.monotonic() - began)))))
"""


def test_crops_streamed(tmp_path):
    "Reading the last quarter takes no more memory than reading the first."
    n = so_many(1_000_000, 40_000)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", STREAMED, tmp_path / "many.zarr", str(n)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    told = json.loads(done.stdout.splitlines()[-1])
    record("streamed", **told)
    assert told["megabytes_at_the_end"] < told["megabytes_after_a_quarter"] + 200


def test_a_long_table(tmp_path):
    "Codes of ten million cells are written, read and joined to what is known of their files."
    n = so_many(10_000_000, 200_000)
    rng = np.random.default_rng(0)
    began = time.monotonic()
    codes = pd.DataFrame(
        rng.normal(size=(n, 4)).astype(np.float32), columns=[f"latent_{k + 1}" for k in range(4)]
    ).assign(file=np.array([f"w{i}.tif" for i in range(1000)])[np.arange(n) % 1000])
    known = pd.DataFrame({"file": [f"w{i}" for i in range(1000)], "dose": rng.random(1000)})
    joined = mv.join_table(codes, known)
    assert len(joined) == n
    assert (joined.dose.to_numpy()[:2000] == np.tile(known.dose.to_numpy(), 2)).all()
    back = read_table(write_table(tmp_path / "codes.parquet", joined))
    assert back.equals(joined)
    record(
        "long_table",
        rows=n,
        seconds=round(time.monotonic() - began, 1),
        megabytes=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3),
    )


def test_ten_thousand_runs_are_listed(tmp_path):
    cells = mv.lung_fret(40)
    run = train_model(
        cells, RunConfig(model=ModelConfig("MP2_64"), training=Training(1)), folder=tmp_path / "runs", progress=False
    )
    tree = json.loads((run.folder / "config.json").read_text())
    n = so_many(10_000, 10_000)
    for number in range(n - 1):
        home = tmp_path / "runs" / f"{number:012x}"
        home.mkdir()
        (home / "config.json").write_text(json.dumps(tree | {"training": tree["training"] | {"seed": number}}))
        shutil.copy(run.folder / "card.json", home)
        os.link(run.folder / "model.safetensors", home / "model.safetensors")
    times = []
    for _ in range(3):
        began = time.monotonic()
        listed = mv.list_runs(tmp_path / "runs")
        times.append(time.monotonic() - began)
    assert len(listed) == n
    assert listed.finished.all()
    assert listed.seed.nunique() == n - 1
    record("listed", runs=n, seconds=round(sorted(times)[1], 2))


SOAK = """
import gc, json, resource, sys, time, tempfile
import numpy as np, psutil
import microvae as mv
from microvae.app.card import train_model
from microvae.app.outputs import embedding
from microvae.training.config import *
end, me, taken, rounds = time.monotonic() + float(sys.argv[1]), psutil.Process(), [], 0
cells = mv.memory_b(120, size=32)
while time.monotonic() < end:
    with tempfile.TemporaryDirectory() as folder:
        run = train_model(cells, RunConfig(model=ModelConfig("thesis", 2 + rounds % 3), training=Training(2, seed=rounds)), folder=folder, progress=False)
        path = cells.to_zarr(folder + "/set.zarr")
        codes = embedding(mv.load_model(folder), mv.load_images(path))
        mv.anomaly_scores(run.network, cells)
        if rounds % 10 == 0:
            from microvae.app.report import write_report
            write_report(folder + "/report.html", run, cells, codes)
            from microvae.app.explorer import write_explorer
            write_explorer(folder + "/map.html", run, cells, codes, decoder="atlas")
    rounds += 1
    gc.collect()
    taken.append((me.memory_info().rss / 1e6, me.num_fds(), me.num_threads()))
taken = np.array(taken)
half = taken[len(taken) // 2:]
slope = float(np.polyfit(np.arange(len(half)), half[:, 0], 1)[0])
print(json.dumps(dict(rounds=rounds, hours=float(sys.argv[1]) / 3600, megabytes_at_half=float(np.median(half[:5, 0])), megabytes_at_the_end=float(np.median(half[-5:, 0])), kilobytes_a_round=1000 * slope, files=[int(half[0, 1]), int(half[-1, 1])], threads=[int(half[0, 2]), int(half[-1, 2])])))
"""


@pytest.mark.skipif(not FULL, reason="of the full run")
def test_soak(tmp_path):
    "Trained, stored, embedded, reported again and again: memory, open files and threads stay as they are. MICROVAE_SOAK gives the seconds."
    pytest.importorskip("psutil")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SOAK, os.environ.get("MICROVAE_SOAK", "900")],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    told = json.loads(done.stdout.splitlines()[-1])
    record("soak", **told)
    assert told["megabytes_at_the_end"] < 1.1 * told["megabytes_at_half"] + 20
    assert told["files"][1] <= told["files"][0]
    assert told["threads"][1] <= told["threads"][0]
