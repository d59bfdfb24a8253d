"""A model's numbers depend on its weights and the image alone: neither on the images beside it, nor on threads, instructions or a precision that is chosen by the processor.

python tests/test_any_setting.py FOLDER FILE.npz    what this process makes of the models and images in a folder
"""

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from numerics import SETTINGS
from sklearn.utils.estimator_checks import (
    check_fit_idempotent,
    check_methods_sample_order_invariance,
    check_methods_subset_invariance,
)
from tolerance import assert_one_rounding

import microvae as mv
from microvae.evaluation.reconstruction import decode_codes

#: Images of each network: more than one batch of 32, which is what a CPU takes at once.
COUNT = 40


@dataclass(frozen=True)
class Case:
    "A network of the catalogue, and the images that it sees."

    name: str
    shape: tuple[int, int, int]
    latent_dim: int | None = None
    changes: dict = field(default_factory=dict)

    def network(self) -> torch.nn.Module:
        return mv.build(self.name, self.shape, self.latent_dim, **self.changes)


CASES = {
    "BN2": Case("BN2", (1, 20, 20), 2),
    "MP2_64": Case("MP2_64", (1, 20, 20), 2),
    "pose_normalised": Case("thesis", (2, 24, 24), 3, {"pose_normalised": True}),
    "odd colours": Case("thesis", (3, 37, 21), 4),
    "dropout": Case("thesis", (1, 32, 32), 5, {"dropout": 0.3}),
    "deterministic": Case("conv_ae", (3, 17, 16)),
}


def write_models(folder: Path):
    "Weights that a seed decides, running means and variances that some images have moved, and images: once, for all processes."
    for name, case in CASES.items():
        torch.manual_seed(7)
        model = case.network().train()
        images = np.random.default_rng(1).random((COUNT, *case.shape), dtype=np.float32)
        if case.name == "thesis" and case.shape[0] == 2:
            images = mv.memory_b(COUNT, seed=4, size=case.shape[1]).images
        with torch.no_grad():
            model(torch.from_numpy(images[:16]))
        torch.save(model.state_dict(), folder / f"{name}.pt")
        np.save(folder / f"{name}.npy", images)
    cells = mv.lung_fret(COUNT)
    mv.MicroVAE(epochs=1, random_state=0, verbose=False, device="cpu").fit(cells).save(folder / "estimator")
    np.save(folder / "estimator.npy", cells.images)


def read_model(folder: Path, name: str) -> tuple[torch.nn.Module, np.ndarray]:
    "A model and its images, as `write_models` left them."
    model = CASES[name].network()
    model.load_state_dict(torch.load(folder / f"{name}.pt", weights_only=True))
    return model.eval(), np.load(folder / f"{name}.npy")


def results_of(model, images: np.ndarray, **batches) -> dict[str, np.ndarray]:
    "What the library makes of images with a network, a row an image."
    cells = mv.CellImages(images)
    made = mv.reconstruct(model, cells, **batches)
    return dict(
        codes=mv.embed(model, cells, **batches),
        mean=made["mean"],
        log_variance=made["log_variance"],
        reconstruction=made["reconstruction"],
        error=mv.anomaly_scores(model, cells, "error"),
        elbo=mv.anomaly_scores(model, cells, "elbo"),
    )


def estimates_of(folder: Path, images: np.ndarray) -> dict[str, np.ndarray]:
    "What a saved estimator makes of images, and of codes that do not depend on it."
    estimator = mv.MicroVAE.load(folder / "estimator", device="cpu")
    codes = np.random.default_rng(2).normal(size=(len(images), estimator.latent_dim)).astype(np.float32)
    return dict(
        transform=estimator.transform(images),
        score_samples=estimator.score_samples(images),
        reconstruct=estimator.reconstruct(images),
        inverse_transform=estimator.inverse_transform(codes),
    )


def all_results(folder: Path) -> dict[str, np.ndarray]:
    "Of every network and of the estimator."
    found = {}
    for name in CASES:
        for what, values in results_of(*read_model(folder, name)).items():
            found[f"{name}: {what}"] = values
    for what, values in estimates_of(folder, np.load(folder / "estimator.npy")).items():
        found[f"estimator: {what}"] = values
    return found


def assert_same(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]):
    assert found.keys() == expected.keys()
    for what in expected:
        assert_one_rounding(found[what], expected[what], what)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("models")
    write_models(place)
    return place


@pytest.mark.numerics
@pytest.mark.parametrize("name", CASES)
def test_an_image_gives_its_numbers_in_any_company(folder, name):
    "In another order, alone, in batches of 7, and beside other images."
    model, images = read_model(folder, name)
    expected = results_of(model, images)
    assert_same(results_of(model, images, batch_size=7), expected)

    order = np.random.default_rng(3).permutation(COUNT)
    shuffled = results_of(model, images[order])
    assert_same(shuffled, {what: values[order] for what, values in expected.items()})

    for row in range(4):
        alone = results_of(model, images[row : row + 1])
        for what, values in expected.items():
            # the scale of the codes is that of all images: one image alone may have a code near zero
            assert_one_rounding(
                np.concatenate([alone[what], values]), np.concatenate([values[row : row + 1], values]), what
            )

    others = np.concatenate([images[:9], 1 - images[9:]])
    beside = results_of(model, others)
    assert_same(
        {what: np.concatenate([values[:9], expected[what]]) for what, values in beside.items()},
        {what: np.concatenate([values[:9], values]) for what, values in expected.items()},
    )


@pytest.mark.numerics
@pytest.mark.parametrize("name", CASES)
def test_a_code_gives_its_image_in_any_company(folder, name):
    model, _ = read_model(folder, name)
    codes = np.random.default_rng(5).normal(size=(COUNT, model.latent_dim)).astype(np.float32)
    expected = decode_codes(model, codes)
    assert_one_rounding(decode_codes(model, codes[::-1].copy())[::-1], expected, "reversed")
    assert_one_rounding(np.concatenate([decode_codes(model, code[None]) for code in codes]), expected, "one by one")


@pytest.mark.numerics
def test_the_estimator_does_not_see_the_company(folder):
    images = np.load(folder / "estimator.npy")
    expected = estimates_of(folder, images)
    order = np.random.default_rng(6).permutation(COUNT)
    shuffled = estimates_of(folder, images[order])
    for what in ("transform", "score_samples", "reconstruct"):
        assert_one_rounding(shuffled[what], expected[what][order], what)


@pytest.mark.numerics
@pytest.mark.parametrize(
    "rule", [check_methods_sample_order_invariance, check_methods_subset_invariance, check_fit_idempotent]
)
def test_the_rules_of_scikit_learn(rule):
    "Those of its own checks that compare numbers: for another order, for parts, and for the same fit again."
    rule("MicroVAE", mv.MicroVAE(epochs=2, early_stopping=None, random_state=0, device="cpu", verbose=False))


@pytest.fixture(scope="module")
def here(folder) -> dict[str, np.ndarray]:
    return all_results(folder)


# the first four hold every value of every choice but the library's own, which is this process'
@pytest.mark.parametrize("setting", list(SETTINGS[""])[:4])
def test_one_set_of_weights_gives_the_same_numbers_in_any_setting(folder, here, tmp_path, setting):
    "Only what follows from the weights is computed by the other process: training may differ, what is made of a model may not."
    file = tmp_path / "found.npz"
    subprocess.run(
        [sys.executable, __file__, str(folder), str(file)],
        env=os.environ | SETTINGS[""][setting],
        check=True,
        timeout=300,
    )
    with np.load(file) as found:
        assert_same(dict(found), here)


if __name__ == "__main__":
    np.savez(sys.argv[2], **all_results(Path(sys.argv[1])))
