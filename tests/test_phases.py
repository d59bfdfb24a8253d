"Phases 4 to 8, each small, through the command; and what cannot be asked, in a sentence."

import json

import numpy as np
import pandas as pd
import pytest
from test_study import microvae

import microvae as mv

SMALL = ("--epochs", 1, "--device", "cpu", "--set", "seeds=[0,1]")

#: phase -> words of its command, tables that must be there, figures at least
PHASES = {
    "rule": (
        4,
        ("--data", "lung_fret,stained_nuclei", "--cells", 30, "--set", "sides=[16,20]", "--set", "depths=[1,2]"),
        {"runs", "history", "depths"},
        2,
    ),
    "downstream": (
        5,
        ("--data", "memory_b", "--cells", 72, "--image-side", 16),
        {"runs", "history", "scores", "best", "clusters", "calibration", "planes"},
        3,
    ),
    "disentangle": (
        6,
        ("--data", "phase_contrast", "--cells", 400, "--image-side", 16, "--set", "latent_dims=[3]"),
        {"runs", "history", "scores", "axes", "related", "best"},
        4,
    ),
    "modalities": (
        7,
        ("--data", "phase_contrast,stained_nuclei", "--cells", 40, "--image-side", 16, "--set", "latent_dims=[2,3]"),
        {"runs", "history", "sizes", "donors", "left_out"},
        2,
    ),
    "orientation": (
        8,
        ("--data", "phase_contrast", "--cells", 80, "--image-side", 16),
        {"runs", "history", "movement", "known", "quality"},
        3,
    ),
}


@pytest.mark.parametrize("name", PHASES)
def test_a_phase_runs_and_argues_with_intervals(name, tmp_path, root, kept):
    "Every claim of these phases is decided by an interval, and says of how many pairs."
    number, words, wanted, figures = PHASES[name]
    done = microvae(
        "study",
        "--phase",
        number,
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
    told = "\n".join(
        "".join(output["data"]["text/markdown"]) for output in outputs if "text/markdown" in output.get("data", {})
    )
    rows = [
        line
        for line in told.splitlines()
        if line.startswith("|")
        and line.rsplit("| ", 1)[1].split()[0].rstrip(":") in ("holds", "fails", "open", "undertrained")
        and "holds here" not in line
    ]
    assert rows
    assert all(", n = " in row for row in rows)
    assert "claims, **" in told
    # one epoch is too little for a claim to fail
    assert not any(row.rsplit("| ", 1)[1].startswith("fails") for row in rows)


def test_a_phase_on_ones_own_cells(tmp_path, root, kept):
    "Classes and donors of one's own table, by two parameters; the label that the donor decides is not told from other donors' cells."
    cells = mv.memory_b(80, size=20)
    cells.table["treatment"] = np.where(cells.table.donor.str[-1].astype(int) % 2, "drug", "control")
    cells.to_zarr(tmp_path / "crops.zarr")
    done = microvae(
        "study",
        "--phase",
        5,
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
    scores = pd.read_csv(tmp_path / "out" / "downstream" / "results" / "scores.csv")
    assert set(scores.features) == {"VAE codes", "PCA", "raw pixels", "shape features"}
    assert scores.auc.between(0, 1).all()
    assert (scores.groups <= 12).all()


def test_what_cannot_be_asked_is_a_sentence(tmp_path, root, kept):
    for words, part in [
        (("--phase", 9), "1 to 8"),
        (("--phase", 5, "--data", "stained_nuclei"), "label="),
        (("--phase", 6, "--data", "stained_nuclei"), "true factors"),
        (("--phase", 7, "--data-folder", "a,b"), "one, or one each"),
        (("--phase", 6, "--data", "memory_b", "--cells", 40, "--set", 'factors=["size"]'), "no column 'size'"),
    ]:
        done = microvae(
            "study",
            *words,
            *kept,
            cwd=root,
        )
        assert done.returncode == 2, done.stderr
        assert part in done.stderr, done.stderr
        assert "Traceback" not in done.stderr, done.stderr
