"Long training survives what happens to long training."

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
import torch

import microvae as mv
from microvae.data.simulate import lung_fret
from microvae.models.blocks import MapsToVector
from microvae.models.bottlenecks import BOTTLENECKS, Bottleneck, Code
from microvae.training.config import Training

FIT = """
import sys
import microvae as mv
config = mv.RunConfig(training=mv.Training(epochs=int(sys.argv[2]), batch_size=32))
run = mv.fit("MP2_64", mv.lung_fret(200), config, folder=sys.argv[1], device="cpu", progress=False, checkpoint_every=0)
print(run.folder, run.history.total.iloc[-1])
"""


def test_two_processes_that_want_one_folder_end_with_one_run(tmp_path):
    "A cluster job that was submitted twice must not mix two runs in one folder."
    started = [
        subprocess.Popen(
            [sys.executable, "-c", FIT, str(tmp_path), "25"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    said = [process.communicate(timeout=300) for process in started]
    assert all(process.returncode == 0 for process in started), said
    assert said[0][0] == said[1][0]
    [home] = tmp_path.iterdir()
    assert not (home / ".lock").exists()
    assert len(mv.load_model(home).history) == 25


def test_a_script_under_torchrun_trains_one_run_in_two_processes(tmp_path):
    "The curve is that of one process, and both processes hold the same model."
    script = tmp_path / "train.py"
    script.write_text("""
import os, sys
import torch
import microvae as mv
torch.set_num_threads(1)
config = mv.RunConfig(training=mv.Training(epochs=3, batch_size=32, precision="float32"))
run = mv.fit("MP2_64", mv.lung_fret(200), config, folder=sys.argv[1], device="cpu", progress=False)
run.history.to_csv(f"{sys.argv[1]}/{os.environ.get('RANK', 'alone')}.csv", index=False)
torch.save(torch.cat([p.flatten() for p in run.network.parameters()]), f"{sys.argv[1]}/{os.environ.get('RANK', 'alone')}.pt")
""")
    environment = os.environ | {"GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
    for name, command in {
        "two": ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)],
        "one": [str(script)],
    }.items():
        (tmp_path / name).mkdir()
        done = subprocess.run(
            [sys.executable, *command, str(tmp_path / name)],
            capture_output=True,
            text=True,
            timeout=300,
            env=environment,
        )
        assert done.returncode == 0, done.stderr
    curves = [pd.read_csv(tmp_path / file) for file in ("one/alone.csv", "two/0.csv", "two/1.csv")]
    pd.testing.assert_frame_equal(curves[1], curves[2])
    # 21 steps, each of which rounds otherwise; one rounding of the first weights comes to a millionth in three epochs
    # of this network (`spread` in tests/reference/golden.json)
    pd.testing.assert_frame_equal(curves[0], curves[1], rtol=1e-4)
    assert torch.equal(*(torch.load(tmp_path / "two" / f"{rank}.pt", weights_only=True) for rank in (0, 1)))


@pytest.mark.posix
def test_a_killed_worker_of_a_sweep_costs_time_only(tmp_path):
    "One of many runs is killed from outside; its run is done again and equals one that was left alone."
    cells = lung_fret(200)
    configs = mv.grid(mv.RunConfig(training=Training(40, 32)), seed=range(3))

    def kill_a_worker():
        for _ in range(600):
            time.sleep(0.1)
            busy = [
                line.split()
                for line in subprocess.run(
                    ["ps", "-eo", "pid,ppid,args"], capture_output=True, text=True
                ).stdout.splitlines()
                if "loky" in line and "resource_tracker" not in line
            ]
            mine = [int(pid) for pid, parent, *_ in busy if int(parent) == os.getpid()]
            begun = [p for p in tmp_path.iterdir() if (p / "config.json").exists()]
            if mine and begun:
                os.kill(mine[0], signal.SIGKILL)
                return killed.append(mine[0])

    killed = []
    killer = threading.Thread(target=kill_a_worker)
    killer.start()
    runs = mv.sweep(configs, cells, folder=tmp_path, device="cpu", progress=False)
    killer.join()
    assert killed
    assert [len(run.history) for run in runs] == [40] * 3
    again = mv.sweep(configs, cells, folder=tmp_path.with_name("calm"), device="cpu", progress=False)
    assert all(a.history.equals(b.history) for a, b in zip(runs, again))


def test_a_sweep_on_a_cluster_gives_what_this_machine_gives(tmp_path):
    "Workers that share no folder with the caller send their runs back."
    distributed = pytest.importorskip("distributed")
    cells = lung_fret(120)
    configs = mv.grid(mv.RunConfig(training=Training(2, 32)), beta=[0.5, 2.0])
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, local_directory=tmp_path / "dask"
    ) as cluster:
        far = mv.sweep(
            configs, cells, folder=tmp_path / "far", scheduler=cluster.scheduler_address, device="cpu", progress=False
        )
        again = mv.sweep(
            configs, cells, folder=tmp_path / "far", scheduler=cluster.scheduler_address, device="cpu", progress=False
        )
        rows = np.split(np.arange(120), 2)
        folds = mv.sweep(
            configs[:1] * 2,
            cells,
            folder=tmp_path / "folds",
            scheduler=cluster.scheduler_address,
            device="cpu",
            progress=False,
            parts=[(rows[0], rows[1]), (rows[1], rows[0])],
        )
    assert [run.config.data.fingerprint.split("-")[0] for run in folds] == [cells[part].fingerprint() for part in rows]
    here = mv.sweep(configs, cells, folder=tmp_path / "here", device="cpu", progress=False)
    for a, b, c in zip(far, here, again):
        assert a.folder.name == b.folder.name
        assert a.history.equals(b.history)
        assert a.history.equals(c.history)
        assert all(
            np.array_equal(x, y) for x, y in zip(a.network.state_dict().values(), b.network.state_dict().values())
        )


def test_nobody_answers_at_the_address_of_a_scheduler(tmp_path):
    pytest.importorskip("distributed")
    with pytest.raises(mv.ConfigError, match="no Dask scheduler at '127.0.0.1:1'"):
        mv.sweep([mv.RunConfig()], lung_fret(60), folder=tmp_path, scheduler="127.0.0.1:1", progress=False)


@pytest.mark.parametrize("name", ["MP2_64", "adaptable"])
def test_a_run_that_diverges_names_epoch_and_batch(tmp_path, name):
    "A NaN after hours must say where, and leave the last good state."
    config = mv.RunConfig(training=Training(epochs=60, batch_size=16, learning_rate=1e5))
    with pytest.raises(
        mv.DivergenceError,
        match=r"diverged in epoch \d+: (the loss of batch \d+ of \d+|after its last batch a weight) is not finite",
    ):
        mv.fit(name, lung_fret(100), config, folder=tmp_path, progress=False, device="cpu")


@pytest.mark.skipif("not __import__('torch').cuda.is_available()", reason="needs a GPU")
def test_a_gpu_trains_what_a_cpu_trains(tmp_path):
    """Graphs that are replayed and runs that are stacked have the curves of a CPU, epoch by epoch: the same random
    numbers, and rounding, which Adam amplifies (see `assert_close` in test_captured.py).
    """
    cells = lung_fret(300)
    config = mv.RunConfig(training=Training(epochs=3, batch_size=32, precision="float32", gradient_clip=100.0))
    tolerance = 1e-2
    for name in ("MP2_64", "BN2"):
        cpu, gpu = (mv.fit(name, cells, config, device=device, progress=False) for device in ("cpu", "cuda"))
        pd.testing.assert_frame_equal(cpu.history, gpu.history, rtol=tolerance, atol=tolerance)
    configs = mv.grid(
        mv.RunConfig(model=mv.ModelConfig("MP2_64"), training=config.training), beta=[0.5, 2.0], latent_dim=[2, 4]
    )
    stacked = mv.sweep(configs, cells, folder=tmp_path / "stacked", device="cuda", progress=False)
    alone = mv.sweep(configs, cells, folder=tmp_path / "alone", device="cuda", progress=False, stacked=False)
    for a, b in zip(stacked, alone):
        pd.testing.assert_frame_equal(a.history, b.history, rtol=tolerance, atol=tolerance)


@dataclass
class Quantised(Code):
    "The nearest entry of a codebook, and its distance as penalty."

    commitment: torch.Tensor | None = None

    def penalty(self, **settings):
        return self.commitment


class VectorQuantised(Bottleneck):
    def __init__(self, width, latent_dim, maps=False, active="none"):
        super().__init__(width, latent_dim)
        self.linear = MapsToVector(width, latent_dim)
        self.codebook = torch.nn.Parameter(torch.empty(32, latent_dim))

    def initialise(self, generator):
        torch.nn.init.normal_(self.codebook, generator=generator)

    def encode(self, features):
        return self.code(features).latent

    def code(self, features, noise=None):
        found = self.linear(features)
        nearest = self.codebook[torch.cdist(found, self.codebook).argmin(1)]
        distance = (found - nearest.detach()).square().sum(1) + (found.detach() - nearest).square().sum(1)
        return Quantised(found + (nearest - found).detach(), commitment=distance)


def test_another_bottleneck_is_one_entry_of_a_table(tmp_path, monkeypatch):
    "A vector-quantised autoencoder is trained, stored, loaded, embedded and swept without a change elsewhere."
    monkeypatch.setitem(BOTTLENECKS, "vq", VectorQuantised)
    cells = lung_fret(120)
    config = mv.RunConfig(model=mv.ModelConfig("MP2_64", 3, "vq"), training=Training(4, 32))
    run = mv.fit(None, cells, config, folder=tmp_path, device="cpu", progress=False)
    assert run.history.reconstruction.iloc[-1] < run.history.reconstruction.iloc[0]
    assert not run.history.kl.any()
    loaded = mv.load_model(run.folder)
    codes = mv.embed(loaded, cells)
    assert np.array_equal(codes, mv.embed(run, cells))
    assert len(np.unique(codes.round(4), axis=0)) <= 32
    swept = mv.sweep([config], cells, folder=tmp_path / "sweep", device="cpu", stacked=True, progress=False)
    assert swept[0].history.equals(run.history)
