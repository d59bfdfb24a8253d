"""Numbers that must not change: made once by `python tests/golden.py`, and compared by test_same_numbers.py with those of this machine, whatever its version of PyTorch.

With each number of a training stands its spread: how far it moves when every weight starts one rounding larger or smaller. That is how much a training amplifies what another processor rounds otherwise.
"""

import json
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch

import microvae as mv
from microvae.data.splits import EACH_IMAGE
from microvae.training.config import ModelConfig, Objective, RunConfig, Training
from microvae.training.step import Step

KEPT = Path(__file__).parent / "reference" / "golden.json"


def configs() -> dict[str, tuple[mv.CellImages, RunConfig]]:
    "A run of each kind of network and objective."
    lung = mv.lung_fret(128)
    memory = mv.memory_b(64, size=40)
    plain = RunConfig(training=Training(epochs=3, seed=3, precision="float32"))
    return {
        "MP2_64": (lung, replace(plain, model=ModelConfig("MP2_64"))),
        "BN2": (lung, replace(plain, model=ModelConfig("BN2"))),
        "thesis": (
            memory,
            replace(plain, model=ModelConfig("thesis", 4), objective=Objective(beta=0.1, likelihood="bce")),
        ),
        "pose_normalised": (
            memory,
            replace(
                plain,
                model=ModelConfig("thesis", 3, changes={"pose_normalised": True}),
                objective=Objective(beta=0.5, total_correlation=4.0),
            ),
        ),
        "fcn_ae": (lung, replace(plain, model=ModelConfig("fcn_ae"))),
        "rotated": (
            memory,
            replace(
                plain,
                model=ModelConfig("thesis", 2),
                augmentation=mv.Augmentation(rotation=180, flip=True),
                objective=Objective(alignment=1.0),
                training=replace(plain.training, optimizer="sgd", learning_rate=1e-5, momentum=0.9, schedule="cosine"),
            ),
        ),
    }


def of_training(name: str) -> dict:
    "History of a run, and what its model makes of images."
    cells, config = configs()[name]
    # the sets are too small to hold out whole donors or tracks; what that does is tested in data/17_splits
    parts = mv.hold_out(cells, 0.1, by=EACH_IMAGE)
    run = mv.fit(None, parts[0], config, parts[1], device="cpu", progress=False)
    codes = mv.embed(run.network, cells)
    made = mv.reconstruct(run.network, cells)["reconstruction"]
    return dict(
        reconstruction=run.history.reconstruction.tolist(),
        kl=run.history.kl.tolist(),
        validation_reconstruction=run.history.validation_reconstruction.tolist(),
        codes=np.abs(codes[:8]).astype(float).round(6).tolist(),
        psnr=float(mv.psnr(made, cells.images).mean()),
        ssim=float(mv.ssim(made, cells.images).mean()),
    )


def of_simulation(name: str) -> dict:
    "Means and spread of simulated images."
    cells = SIMULATED[name]()
    return dict(
        mean=float(cells.images.mean(dtype=np.float64)),
        spread=float(cells.images.std(dtype=np.float64)),
        each=cells.images[:4].mean((1, 2, 3)).astype(float).tolist(),
    )


def spread_of_training(name: str, found: dict, starts: int = 3) -> dict:
    "The largest difference of each number over trainings whose weights start one rounding away, up or down by chance."
    begin = Step.__init__

    def begin_aside(self, *arguments):
        begin(self, *arguments)
        up = torch.rand(self.weights.shape, generator=chance) < 0.5
        with torch.no_grad():
            self.weights.mul_(torch.where(up, 1 + 2.0**-23, 1 - 2.0**-23))

    largest = {part: np.zeros_like(np.asarray(value)) for part, value in found.items()}
    for seed in range(starts):
        chance = torch.Generator().manual_seed(seed)
        with patch.object(Step, "__init__", begin_aside):
            other = of_training(name)
        for part, value in found.items():
            largest[part] = np.maximum(largest[part], np.abs(np.asarray(other[part]) - value))
    # all codes are numbers of one kind, and so are psnr and ssim alone
    return {part: np.max(value) if part == "codes" else value.tolist() for part, value in largest.items()}


#: Simulators, with few images each.
SIMULATED = {
    "lung_fret": lambda: mv.lung_fret(50),
    "memory_b": lambda: mv.memory_b(20, size=40),
    "phase_contrast": lambda: mv.phase_contrast(10),
    "laser_surfaces": lambda: mv.laser_surfaces(6),
    "head_phantoms": lambda: mv.head_phantoms(6),
    "mucosa": lambda: mv.mucosa(6),
}


def numbers() -> dict:
    "All that is kept."
    trained = {name: of_training(name) for name in configs()}
    return trained | {f"simulated {name}": of_simulation(name) for name in SIMULATED}


if __name__ == "__main__":
    torch.set_num_threads(1)
    kept = numbers()
    spread = {name: spread_of_training(name, kept[name]) for name in configs()}
    versions = dict(torch=torch.__version__, numpy=np.__version__)
    KEPT.write_text(json.dumps(versions | dict(numbers=kept, spread=spread), indent=1) + "\n")
    print(KEPT)
