"The chapters on other reports, each on a folder of a user's own images, through the command."

import json

import imageio.v3 as imageio
import numpy as np
import pandas as pd
import pytest
from command import microvae
from test_study import check_refused, figures_in

from microvae.data.catalogue import load

#: chapter -> set whose images are written to files, side in pixels, tables that must be there
REPORTS = {
    "surfaces": ("laser_surfaces", 16, {"runs", "history", "folds", "maps", "lower_bound", "literal"}),
    "brain": (
        "head_phantoms",
        32,
        {
            "runs",
            "history",
            "trials_AE",
            "trials_VAE",
            "curves_AE",
            "curves_VAE",
            "denoising_AE",
            "denoising_VAE",
            "varied",
        },
    ),
    "endoscopy": ("mucosa", 32, {"runs", "history", "quality", "realism", "channels"}),
    "faces_and_digits": (
        "faces",
        None,
        {"runs", "history", "detection", "roc", "scores", "losses", "prediction", "variants", "by_digit"},
    ),
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


@pytest.mark.parametrize("chapter", REPORTS)
def test_a_chapter_runs_on_a_folder_of_images(chapter, tmp_path, root, kept):
    "Whoever has such images gets the same chapter of them by one parameter; what needs labels that they lack is left out, with a notice."
    name, side, wanted = REPORTS[chapter]
    write_folder(tmp_path / "mine", name)
    words = [
        "study",
        chapter,
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
    results = tmp_path / "out" / chapter / "results"
    assert {path.stem for path in [*results.glob("*.csv"), *results.glob("*.parquet")]} == wanted
    runs = pd.read_csv(results / "runs.csv")
    assert len(runs) >= 2
    assert runs[["parameters", "seconds", "psnr", "ssim", "pixel_error"]].notna().all().all()
    provenance = json.loads((results / "provenance.json").read_text())
    assert provenance["cells"] == 48 or chapter == "faces_and_digits"
    notebook = tmp_path / "out" / chapter / "notebook.ipynb"
    assert figures_in(notebook) >= 5
    text = notebook.read_text()
    assert "claims, **" in text
    assert chapter != "surfaces" or "without settings of a laser" in text


@pytest.mark.parametrize("chapter", ["endoscopy", "faces_and_digits"])
def test_a_chapter_with_normal_images_only(chapter, tmp_path, root, kept):
    "Without images of outliers there is still the rest of the chapter."
    folder = tmp_path / "mine" / "normal"
    folder.mkdir(parents=True)
    for i, image in enumerate(load("mucosa", n=80, size=32)[:30].images):
        imageio.imwrite(folder / f"{i:03d}.png", np.moveaxis(np.round(image * 255).astype(np.uint8), 0, 2))
    done = microvae(
        "study",
        chapter,
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
    assert "claims, **" in (tmp_path / "out" / chapter / "notebook.ipynb").read_text()


def test_a_wrong_request_is_a_sentence(tmp_path, root, kept):
    requests = [
        (("surface",), "surfaces"),
        (("brain", "--profile", "fast"), "quick"),
        (("endoscopy", "--data", tmp_path / "nothing"), "nothing"),
    ]
    check_refused(requests, kept, root)
