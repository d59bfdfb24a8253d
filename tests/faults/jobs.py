"What is interrupted: each job goes on where it was cut off when it is called again with the same folder."

from functools import partial
from pathlib import Path

import numpy as np
import pyarrow.parquet  # noqa: F401  what is imported here is not imported again in each process that is killed
import scipy.ndimage  # noqa: F401
import skimage.filters  # noqa: F401
import skimage.measure  # noqa: F401
import skimage.segmentation  # noqa: F401
import tifffile
import torch
import zarr  # noqa: F401

import microvae as mv
from microvae.data import plates
from microvae.study.runner import run_chapter
from microvae.training.config import Objective, Training
from microvae.training.sweep import sweep as train_all

torch.set_num_threads(1)
torch.optim.Adam([torch.zeros(1)])  # with its first optimizer PyTorch imports a thousand modules
CELLS = mv.lung_fret(120)


def training(folder: Path):
    "One run, with a checkpoint after each epoch."
    config = mv.RunConfig(training=Training(epochs=6, batch_size=32, seed=4, keep_best=True))
    mv.fit("MP2_64", CELLS, config, folder=folder, device="cpu", checkpoint_every=0, progress=False)


def sweep(folder: Path, workers: int = 2):
    "Four runs in processes of their own."
    configs = mv.grid(
        mv.RunConfig(objective=Objective(beta=0.5), training=Training(epochs=3)), seed=range(2), latent_dim=[2, 3]
    )
    train_all(configs, CELLS, folder=folder, device="cpu", workers=workers, progress=False)


def plate(folder: Path) -> Path:
    "Fields of view with cells, one broken."
    folder.mkdir(parents=True)
    y, x = np.mgrid[:64, :64]
    rng = np.random.default_rng(0)
    for i in range(24):
        discs = sum(
            ((y - r) ** 2 + (x - c) ** 2 < 40) * 1.0
            for r, c in rng.permutation([(16, 16), (16, 48), (48, 16), (48, 48)])[:3]
        )
        tifffile.imwrite(folder / f"f{i:02d}.tif", (3000 * discs + 200 + rng.normal(0, 20, x.shape)).astype(np.uint16))
    (folder / "f05.tif").write_bytes(b"II*\0broken")
    return folder


def crop(folder: Path, source: Path):
    "The cells of a plate, written in blocks of five fields."
    plates.BLOCK = 5
    if not (folder / "cells.zarr").exists():
        mv.crop_fields(source, 20, out=folder / "cells.zarr", workers=1, progress=False)


def to_zarr(folder: Path):
    "A stored set, to which is appended twice."
    path = folder / "set.zarr"
    edges = [0, 50, 51, 120]
    for low, high in zip(edges, edges[1:]):
        if (len(mv.load_images(path)) if path.exists() else 0) == low:
            CELLS[low:high].to_zarr(path, append=True)


def phase(folder: Path, notebooks: Path):
    "A chapter of the study, as papermill runs it."
    run_chapter("lung_cells", "quick", notebooks, folder / "out", folder / "runs", "cpu", cells=80, epochs=1)


def single(source: Path, notebooks: Path) -> dict:
    "All jobs, by name."
    return {
        "training": training,
        "sweep": sweep,
        "crop": partial(crop, source=source),
        "to_zarr": to_zarr,
        "phase": partial(phase, notebooks=notebooks),
    }
