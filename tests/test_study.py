"Whole programs: a chapter on one's own images through the command, and its faults."

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import tifffile
from command import here, microvae

import microvae as mv


def figures_in(notebook: Path) -> int:
    "How many pictures an executed notebook holds."
    cells = json.loads(notebook.read_text())["cells"]
    return sum("image/png" in output.get("data", {}) for cell in cells for output in cell.get("outputs", []))


def check_refused(requests, kept, root):
    "Each request, words after `microvae study`, ends with exit code 2 and a sentence that has a part."
    for words, part in requests:
        done = here("study", *words, *kept, cwd=root)
        assert done.returncode == 2, done.stderr
        assert part in done.stderr, done.stderr
        assert "Traceback" not in done.stderr, done.stderr


def test_chapter_runs_on_a_folder_of_tiffs(tmp_path, root, kept):
    "A user's own images go through the same notebook by parameter alone, and a second call does nothing."
    folder = tmp_path / "crops"
    folder.mkdir()
    for i, image in enumerate(mv.lung_fret(60).images):  # of which 50 are asked for
        tifffile.imwrite(folder / f"{i:03d}.tif", (image[0] * 65535).astype(np.uint16))
    words = (
        "study",
        "image_size",
        "--data",
        folder,
        "--image-side",
        24,
        "--cells",
        50,
        "--epochs",
        1,
        *kept,
    )
    first = microvae(*words, cwd=root)
    assert first.returncode == 0, first.stderr[-2000:]
    assert "Of the 60 images of" in first.stdout
    assert "50 were taken; --cells 60 takes all" in first.stdout
    runs = pd.read_csv(tmp_path / "out" / "image_size" / "results" / "runs.csv")
    assert set(runs.model) == {"depth2", "depth3", "depth4"}
    provenance = json.loads((tmp_path / "out" / "image_size" / "results" / "provenance.json").read_text())
    assert provenance["image_shape"] == [1, 24, 24]
    notebook = tmp_path / "out" / "image_size" / "notebook.ipynb"
    assert figures_in(notebook) >= 4
    page = "\n".join(markdown_of(json.loads(notebook.read_text())))
    assert "24×24 pixels with the channel channel 1" in page
    assert "The thesis' claims on other images" in page
    assert "50 were taken; --cells 60 takes all" in page
    assert not re.search(r"@(fig|tbl)-|\[@", page), "a reference that leads nowhere"
    assert "**Figure 1.**" in page
    assert "**Table 1.**" in page
    verdicts = re.findall(r"^\| .* \| ([a-z ]+) \|$", page.split("| claim |")[1].split("\n\n")[0], flags=re.M)
    # one seed and one epoch decide nothing but arithmetic
    assert set(verdicts) == {"supported", "contradicted", "not enough evidence"}
    assert verdicts.count("not enough evidence") == len(verdicts) - 2
    assert "1 of 5 seeds; too few epochs" in page
    assert "is up to date" in microvae(*words, cwd=root).stdout


def markdown_of(notebook: dict) -> list[str]:
    "What an executed notebook says in words: its Markdown cells, and what its code put out as Markdown."
    said = []
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            said.append("".join(cell["source"]))
        for output in cell.get("outputs", []):
            said.append("".join(output.get("data", {}).get("text/markdown", "")))
    return said


def test_errors_are_one_sentence_on_the_command_line(tmp_path):
    for words, part in [
        (("data", "lung_fre", "x.npz"), "lung_fret"),
        (("train", tmp_path), str(tmp_path)),
        (("depth", "1", "9"), "1×9"),
    ]:
        done = here(*words, cwd=tmp_path)
        assert done.returncode == 2, done.stderr
        assert part in done.stderr, done.stderr
        assert "Traceback" not in done.stderr, done.stderr


def test_library_imports_no_notebook_tool(root):
    "pip install . is enough: nothing of nbdev, papermill or Sphinx is needed to use the library."
    code = "import sys, microvae as mv; [getattr(mv, n) for n in mv.__all__]; import microvae.app.cli; print([m for m in ('nbdev', 'fastcore', 'papermill', 'sphinx', 'IPython', 'torchinfo') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
