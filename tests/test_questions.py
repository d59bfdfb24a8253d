"Chapters with a question of our own, each small, through the command; and wrong requests, which are one sentence."

import json

import numpy as np
import pandas as pd
import pytest
from command import microvae
from test_study import check_refused

import microvae as mv
from microvae.core.errors import MicroVAEError
from microvae.study.chapter import chapters
from microvae.study.claims import VERDICTS

SMALL = ("--epochs", 1, "--device", "cpu", "--set", "seeds=[0,1]")

#: chapter -> words of its command, tables that must be there, figures at least
QUESTIONS = {
    "depth_rule": (
        ("--data", "lung_fret,stained_nuclei", "--cells", 30, "--set", "sides=[16,20]", "--set", "depths=[1,2]"),
        {"runs", "history", "depths"},
        2,
    ),
    "prediction": (
        ("--data", "memory_b", "--cells", 72, "--image-side", 16),
        {"runs", "history", "scores", "labelled", "best", "clusters", "calibration", "planes"},
        3,
    ),
    "disentanglement": (
        ("--data", "phase_contrast", "--cells", 400, "--image-side", 16, "--set", "latent_dims=[3]"),
        {"runs", "history", "scores", "axes", "related", "best"},
        4,
    ),
    "modalities": (
        ("--data", "phase_contrast,stained_nuclei", "--cells", 40, "--image-side", 16, "--set", "latent_dims=[2,3]"),
        {"runs", "history", "sizes", "donors", "left_out", "corrected"},
        2,
    ),
    "rotation": (
        ("--data", "phase_contrast", "--cells", 80, "--image-side", 16),
        {"runs", "history", "movement", "predicted", "quality"},
        3,
    ),
    "codes": (
        ("--data", "digits", "--cells", 90, "--set", "representations=pca,measures,microvae"),
        {"runs", "history", "rows", "accuracies", "differences"},
        2,
    ),
    "controls": (
        ("--data", "lung_fret", "--cells", 12),
        {"runs", "history", "controls"},
        2,
    ),
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_chapter_runs_and_gives_reasons(name, tmp_path, root, kept):
    "Every claim of these chapters has one of five verdicts and a reason; two seeds are not enough for another one, except for arithmetic."
    words, wanted, figures = QUESTIONS[name]
    done = microvae(
        "study",
        name,
        *words,
        *SMALL,
        *kept,
        cwd=root,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    results = tmp_path / "out" / name / "results"
    assert {path.stem for path in [*results.glob("*.csv"), *results.glob("*.parquet")]} == wanted
    executed = json.loads((tmp_path / "out" / name / "notebook.ipynb").read_text())
    outputs = [output for cell in executed["cells"] for output in cell.get("outputs", [])]
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= figures
    text = "\n".join(
        "".join(output["data"]["text/markdown"]) for output in outputs if "text/markdown" in output.get("data", {})
    )
    rows = [
        line for line in text.splitlines() if line.startswith("|") and line.rstrip("| ").rsplit("| ", 1)[-1] in VERDICTS
    ]
    assert rows
    assert "claims, **" in text
    # two seeds decide nothing but arithmetic, and every row says why
    by_chance = [row for row in rows if "| arithmetic |" not in row]
    assert all(row.rstrip("| ").endswith("| not enough evidence") for row in by_chance)
    reasons = [row.split(" | ")[-2] for row in rows]
    assert all(reasons)
    assert any(reason.startswith("2 of 5 ") for reason in reasons)


def test_a_chapter_on_ones_own_cells(tmp_path, root, kept):
    "Classes and donors of one's own table, by two parameters; the label that the donor decides cannot be predicted from other donors' cells."
    cells = mv.memory_b(80, size=20)
    cells.table["treatment"] = np.where(cells.table.donor.str[-1].astype(int) % 2, "drug", "control")
    cells.to_zarr(tmp_path / "crops.zarr")
    done = microvae(
        "study",
        "prediction",
        "--data",
        tmp_path / "crops.zarr",
        "--cells",
        40,
        "--image-side",
        20,
        "--set",
        "label=treatment",
        "--set",
        "group=donor",
        *SMALL,
        *kept,
        cwd=root,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    scores = pd.read_csv(tmp_path / "out" / "prediction" / "results" / "scores.csv")
    two = {"two-dimensional codes", "two components"}
    assert set(scores.features) == {"VAE codes", "PCA", "raw pixels", "shape features"} | two
    assert scores.auc.between(0, 1).all()
    assert (scores.groups <= 12).all()


def test_a_wrong_request_is_a_sentence(tmp_path, root, kept):
    requests = [
        (("predicton",), "prediction"),
        (("prediction", "--set", "epoch=1"), "no parameter 'epoch'"),
        (("prediction", "--set", "profile=quick"), "--profile"),
        (("disentanglement", "--data", "stained_nuclei"), "true factors"),
    ]
    check_refused(requests, kept, root)


@pytest.mark.parametrize(
    "name, given, sentence",
    [
        ("prediction", dict(data="stained_nuclei"), "label="),
        ("modalities", dict(data_folder="a,b"), "one, or one each"),
        ("disentanglement", dict(data="memory_b", cells=40, factors=["size"]), "no column 'size'"),
    ],
)
def test_a_chapter_refuses_before_it_trains(name, given, sentence, tmp_path):
    with pytest.raises(MicroVAEError, match=sentence):
        chapters()[name].results(**given, out=tmp_path / "out", runs=tmp_path / "runs", device="cpu")
    assert not (tmp_path / "runs").exists()
