"""Numbers that must not change: made once by `python tests/golden.py`, and compared by test_same_numbers.py with those of this machine, whatever its version of PyTorch."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

import microvae as mv
from microvae.training.config import Model, Objective, RunConfig, Training

KEPT = Path(__file__).parent / "reference" / "golden.json"


def configs() -> dict[str, tuple[mv.CellImages, RunConfig]]:
    "A run of each kind of network and objective."
    lung, memory = mv.lung_fret(128), mv.memory_b(64, size=40)
    plain = RunConfig(training=Training(epochs=3, seed=3, precision="float32"))
    return {
        "MP2_64": (lung, replace(plain, model=Model("MP2_64"))),
        "BN2": (lung, replace(plain, model=Model("BN2"))),
        "adaptable": (
            memory,
            replace(plain, model=Model("adaptable", 4), objective=Objective(beta=0.1, likelihood="bce")),
        ),
        "upright": (
            memory,
            replace(
                plain,
                model=Model("adaptable", 3, changes={"upright": True}),
                objective=Objective(beta=0.5, total_correlation=4.0),
            ),
        ),
        "fcn_ae": (lung, replace(plain, model=Model("fcn_ae"))),
        "turned": (
            memory,
            replace(
                plain,
                model=Model("adaptable", 2),
                augmentation=mv.Augmentation(rotation=180, flip=True),
                objective=Objective(alignment=1.0),
                training=replace(plain.training, optimizer="sgd", learning_rate=1e-5, momentum=0.9, schedule="cosine"),
            ),
        ),
    }


def numbers() -> dict:
    "History and codes of each run, and of simulators and measures."
    torch.set_num_threads(1)
    found = {}
    for name, (cells, config) in configs().items():
        run = mv.fit(None, cells, config, device="cpu", progress=False)
        codes = mv.embed(run.model, cells)
        made = mv.reconstruct(run.model, cells)["reconstruction"]
        found[name] = dict(
            reconstruction=run.history.reconstruction.tolist(),
            kl=run.history.kl.tolist(),
            validation_reconstruction=run.history.validation_reconstruction.tolist(),
            codes=np.abs(codes[:8]).astype(float).round(6).tolist(),
            psnr=float(mv.psnr(made, cells.images).mean()),
            ssim=float(mv.ssim(made, cells.images).mean()),
        )
    for name, cells in {
        "lung_fret": mv.lung_fret(50),
        "memory_b": mv.memory_b(20, size=40),
        "phase_contrast": mv.phase_contrast(10),
        "laser_surfaces": mv.laser_surfaces(6),
        "head_phantoms": mv.head_phantoms(6),
        "mucosa": mv.mucosa(6),
    }.items():
        found[f"simulated {name}"] = dict(
            mean=float(cells.images.mean(dtype=np.float64)),
            spread=float(cells.images.std(dtype=np.float64)),
            each=cells.images[:4].mean((1, 2, 3)).astype(float).tolist(),
        )
    return found


if __name__ == "__main__":
    KEPT.write_text(json.dumps(dict(torch=torch.__version__, numpy=np.__version__, numbers=numbers()), indent=1) + "\n")
    print(KEPT)
