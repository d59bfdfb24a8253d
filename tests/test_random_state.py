"No function depends on a global random state or changes one: the same bits in threads, on joblib, in a notebook."

import asyncio
import os
import random
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import rich.style  # noqa: F401  draws a random number when it is imported
import tifffile
import torch

import microvae as mv
from microvae.training.config import ModelConfig, Training

CELLS = mv.lung_fret(48)
CONFIG = mv.RunConfig(model=ModelConfig("MP2_64"), training=Training(epochs=1))


def state() -> dict:
    "What all functions of this process share."
    kind, numbers, *rest = np.random.get_state()
    return {
        "NumPy": (kind, numbers.tobytes(), *rest),
        "PyTorch": torch.get_rng_state().numpy().tobytes(),
        "Python": random.getstate(),
        "threads": torch.get_num_threads(),
        "type": torch.get_default_dtype(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "gradients": torch.is_grad_enabled(),
        "floating-point errors": np.geterr(),
        "folder": os.getcwd(),
        "permissions": os.umask(os.umask(0o022)),
    }


@pytest.fixture(scope="module")
def vae():
    return mv.MicroVAE(depth=1, latent_dim=3, epochs=1, verbose=False, random_state=0).fit(CELLS)


@pytest.fixture(scope="module")
def fields(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fields")
    y, x = np.mgrid[:64, :64]
    discs = sum(((y - r) ** 2 + (x - c) ** 2 < 40) * 3000 for r in (16, 48) for c in (16, 48))
    tifffile.imwrite(folder / "a.tif", (discs + 200).astype(np.uint16))
    return folder


def opened_again(vae, folder):
    return mv.MicroVAE.load(vae.save(folder / "model"))


CALLS = {
    "simulate": lambda vae, fields, folder: mv.memory_b(20, size=20),
    "load_images": lambda vae, fields, folder: mv.load_images(fields),
    "crop_fields": lambda vae, fields, folder: mv.crop_fields(fields, 20, workers=1, progress=False),
    "fit": lambda vae, fields, folder: mv.fit(None, CELLS, CONFIG, folder=folder, device="cpu", progress=False),
    "fit without a seed": lambda vae, fields, folder: mv.MicroVAE(depth=1, epochs=1, verbose=False).fit(CELLS),
    "sweep": lambda vae, fields, folder: mv.sweep(
        mv.grid(CONFIG, seed=range(2)), CELLS, folder=folder, device="cpu", workers=0, progress=False
    ),
    "stacked": lambda vae, fields, folder: mv.sweep(
        mv.grid(CONFIG, seed=range(2)), CELLS, folder=folder, device="cpu", stacked=True, progress=False
    ),
    "embed": lambda vae, fields, folder: mv.embed(vae.model_, CELLS),
    "reconstruct": lambda vae, fields, folder: mv.reconstruct(vae.model_, CELLS),
    "anomaly_scores": lambda vae, fields, folder: mv.anomaly_scores(vae.model_, CELLS),
    "classify": lambda vae, fields, folder: mv.classify(mv.embed(vae.model_, CELLS), np.arange(len(CELLS)) % 2),
    "project": lambda vae, fields, folder: mv.project(mv.embed(vae.model_, CELLS)),
    "real_or_reconstructed": lambda vae, fields, folder: mv.real_or_reconstructed(
        CELLS.images[:12], CELLS.images[12:24], epochs=1, weights="random", device="cpu"
    ),
    "load": lambda vae, fields, folder: opened_again(vae, folder),
    "report": lambda vae, fields, folder: vae.report(folder / "report.html", CELLS),
    "explore": lambda vae, fields, folder: vae.explore(folder / "map.html", CELLS, decoder="atlas"),
}


@pytest.mark.parametrize("name", CALLS)
def test_shared_state_stays(name, vae, fields, tmp_path):
    before = state()
    CALLS[name](vae, fields, tmp_path)
    after = state()
    assert [part for part in before if before[part] != after[part]] == []


def weights(seed: int, name: str = "dlip_vae") -> bytes:
    "The weights of a run with dropout, which draws most."
    config = mv.RunConfig(model=ModelConfig(name), training=Training(epochs=2, seed=seed))
    run = mv.fit(None, CELLS, config, device="cpu", progress=False)
    return b"".join(tensor.numpy().tobytes() for tensor in run.network.state_dict().values())


@pytest.fixture(scope="module")
def expected():
    return [weights(seed) for seed in range(4)]


def test_the_same_bits_in_threads(expected):
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(weights, range(4))) == expected


def test_the_same_bits_on_joblib(expected):
    joblib = pytest.importorskip("joblib")
    found = joblib.Parallel(4, backend="threading")(joblib.delayed(weights)(seed) for seed in range(4))
    assert found == expected


def test_the_same_bits_in_an_event_loop(expected):
    "As in a notebook, also where another cell draws numbers and sets a seed meanwhile."

    async def cells() -> list[bytes]:
        np.random.seed(7)
        torch.manual_seed(7)
        return await asyncio.gather(*[asyncio.to_thread(weights, seed) for seed in (2, 0)])

    # in a thread, since this one may already have the loop of a browser
    with torch.random.fork_rng(), ThreadPoolExecutor(1) as pool:
        assert pool.submit(asyncio.run, cells()).result() == [expected[2], expected[0]]


def test_random_features_are_the_same_in_threads():
    "Those of a network of torchvision, which draws its weights from the global state."
    judge = lambda seed: mv.real_or_reconstructed(
        CELLS.images[:24], CELLS.images[24:], epochs=1, weights="random", seed=seed, device="cpu"
    )
    alone = [judge(seed)["auc"] for seed in (0, 1)]
    with ThreadPoolExecutor(2) as pool:
        assert [found["auc"] for found in pool.map(judge, (0, 1))] == alone
