"The cases of the other reports, each on a folder of somebody's own images, through the command."

import json

import imageio.v3 as imageio
import numpy as np
import pandas as pd
import pytest
from test_study import microvae

from microvae.data.catalogue import load

#: case -> set that lends its images, side in pixels, what a reader must find
CASES = {
    "surfaces": ("laser_surfaces", 16, {"runs", "history", "folds", "maps", "floor"}),
    "brain": (
        "head_phantoms",
        32,
        {"runs", "history", "trials_AE", "trials_VAE", "curves_AE", "curves_VAE", "denoising_AE", "denoising_VAE"},
    ),
    "endoscopy": ("mucosa", 32, {"runs", "history", "quality", "realism", "channels"}),
    "autoencoders": ("faces", None, {"runs", "history", "detection", "roc", "scores", "losses", "prediction"}),
}


def write_folder(folder, name, n=48):
    "Images of a set as PNG files: normal ones in a subfolder of that name, the others beside it."
    cells = (
        load(name)[:: 200 // n] if name == "faces" else load(name, n=n, size=None if name == "laser_surfaces" else 48)
    )
    normal = (
        cells.table.face
        if "face" in cells.table
        else ~cells.table.polyp
        if "polyp" in cells.table
        else np.ones(len(cells), bool)
    )
    for i, (image, good) in enumerate(zip(cells.images, normal)):
        place = folder / ("normal" if good else "other")
        place.mkdir(parents=True, exist_ok=True)
        pixels = np.round(image * 255).astype(np.uint8)
        imageio.imwrite(place / f"{i:03d}.png", pixels[0] if len(pixels) == 1 else np.moveaxis(pixels, 0, 2))


@pytest.mark.parametrize("case", CASES)
def test_a_case_runs_on_a_folder_of_images(case, tmp_path, root, kept):
    "Whoever has such images gets the same chapter of them by one parameter; what needs labels that they lack is left out, and said."
    name, side, wanted = CASES[case]
    write_folder(tmp_path / "mine", name)
    words = [
        "study",
        "--case",
        case,
        "--data",
        tmp_path / "mine",
        "--epochs",
        1,
        *kept,
        "--device",
        "cpu",
    ]
    done = microvae(*words, *(["--image-side", side] if side else []), cwd=root)
    assert done.returncode == 0, done.stderr[-2000:]
    results = tmp_path / "out" / case / "results"
    assert {path.stem for path in [*results.glob("*.csv"), *results.glob("*.parquet")]} == wanted
    runs = pd.read_csv(results / "runs.csv")
    assert len(runs) >= 2
    assert runs[["parameters", "seconds", "psnr", "ssim", "pixel_error"]].notna().all().all()
    provenance = json.loads((results / "provenance.json").read_text())
    assert provenance["cells"] == 48 or case == "autoencoders"
    executed = json.loads((tmp_path / "out" / case / "notebook.ipynb").read_text())
    assert (
        sum("image/png" in output.get("data", {}) for cell in executed["cells"] for output in cell.get("outputs", []))
        >= 5
    )
    told = json.dumps(executed, ensure_ascii=False)
    assert "claims, **" in told
    assert case != "surfaces" or "without settings of a laser" in told


@pytest.mark.parametrize("case", ["endoscopy", "autoencoders"])
def test_a_case_of_normal_images_only(case, tmp_path, root, kept):
    "Who has no images of what is strange still gets the rest of the chapter."
    folder = tmp_path / "mine" / "normal"
    folder.mkdir(parents=True)
    for i, image in enumerate(load("mucosa", n=80, size=32)[:30].images):
        imageio.imwrite(folder / f"{i:03d}.png", np.moveaxis(np.round(image * 255).astype(np.uint8), 0, 2))
    done = microvae(
        "study",
        "--case",
        case,
        "--data",
        tmp_path / "mine",
        "--epochs",
        1,
        "--image-side",
        32,
        *kept,
        "--device",
        "cpu",
        cwd=root,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "claims, **" in (tmp_path / "out" / case / "notebook.ipynb").read_text()


def test_a_case_that_cannot_be_says_so(tmp_path, root, kept):
    for words, part in [
        (("--case", "surface"), "surfaces"),
        (("--case", "brain", "--profile", "fast"), "quick"),
        (("--case", "endoscopy", "--data", tmp_path / "nothing"), "nothing"),
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
