"The package is what the notebooks export, and notebooks are clean."

import ast
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "nbs").rglob("*.ipynb"))


def test_exported_code_equals_the_notebooks(tmp_path):
    "Nobody can lose a change that was made in microvae/ only, or forget to export one."
    for name in ("nbs", "microvae", "settings.ini", "setup.py", "README.md"):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints"))
        else:
            shutil.copy(source, tmp_path / name)
    before = {p.relative_to(tmp_path): p.read_text() for p in (tmp_path / "microvae").rglob("*.py")}
    subprocess.run([str(Path(sys.executable).parent / "nbdev_export")], cwd=tmp_path, check=True)
    after = {p.relative_to(tmp_path): p.read_text() for p in (tmp_path / "microvae").rglob("*.py")}
    assert sorted(before) == sorted(after)
    assert [str(p) for p in before if before[p] != after[p]] == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: str(p.relative_to(ROOT)))
def test_notebooks_are_clean(path):
    "A diff shows what a person changed, not what a kernel counted; papermill needs the kernel and the tag."
    notebook = json.loads(path.read_text())
    assert notebook["metadata"].get("kernelspec"), "papermill needs a kernelspec"
    for cell in notebook["cells"]:
        assert cell.get("execution_count") is None
        assert not cell.get("outputs"), "outputs are made when the site is built"
    if path.name == "page.ipynb":
        assert sum("parameters" in cell["metadata"].get("tags", []) for cell in notebook["cells"]) == 1


def test_readme_is_the_front_page():
    "Who reads the README and who opens the site are told the same."
    from microvae.book.site import readme

    assert (ROOT / "README.md").read_text() == readme(root=ROOT)


PACKAGES = ["core", "data", "models", "training", "evaluation", "app", "study", "chapters", "book"]


def subpackages_imported(code: str) -> set[str]:
    "Subpackages that a module imports; nbdev writes them relative, `from ..models.losses import`."
    found = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and node.module:
            parts = node.module.split(".")
            if node.level == 2 or parts[0] == "microvae":
                found.add(parts[0] if node.level == 2 else (parts + [""])[1])
        elif isinstance(node, ast.Import):
            found |= {name.name.split(".")[1] for name in node.names if name.name.startswith("microvae.")}
    return found & set(PACKAGES)


def test_subpackages_import_only_from_the_left():
    "The layout shows the architecture, and keeps doing so."
    assert subpackages_imported(
        "from ..study.claims import x\nfrom .y import z\nimport microvae.data.images\nfrom microvae.app import cli"
    ) == {"study", "data", "app"}
    wrong = [
        f"{path.relative_to(ROOT)} imports {other}"
        for path in sorted((ROOT / "microvae").glob("*/*.py"))
        for other in subpackages_imported(path.read_text())
        if PACKAGES.index(other) > PACKAGES.index(path.parent.name)
    ]
    assert wrong == []


def test_notebooks_import_only_from_smaller_numbers():
    "The number is the order of reading: nobody meets what was not explained yet."
    numbers = {}
    for path in NOTEBOOKS:
        subpackage, *rest = path.relative_to(ROOT / "nbs").with_suffix("").parts
        numbered = re.match(r"(\d\d)_(\w+)", rest[0]) if rest and rest[-1] != "page" and subpackage != "howto" else None
        if numbered:
            numbers[subpackage, numbered[2]] = int(numbered[1])
    wrong = []
    for (subpackage, name), number in numbers.items():
        module = ROOT / "microvae" / subpackage / f"{name}.py"
        for node in ast.walk(ast.parse(module.read_text())):
            beside = isinstance(node, ast.ImportFrom) and node.level == 1 and (subpackage, node.module) in numbers
            if beside and numbers[subpackage, node.module] >= number:
                wrong.append(f"{subpackage}/{name} imports {node.module}")
    assert wrong == []


def test_every_notebook_is_in_the_table_of_contents():
    "What is not there is not made, read or checked: the site runs the notebooks' checks."
    import yaml

    listed = []

    def walk(contents):
        for item in contents:
            if isinstance(item, str):
                listed.extend(str(p.relative_to(ROOT)) for p in ROOT.glob(item)) if "*" in item else listed.append(item)
            else:
                listed.extend(filter(None, [item.get("href")]))
                walk(item.get("contents", []))

    walk(yaml.safe_load((ROOT / "_quarto.yml").read_text())["website"]["sidebar"]["contents"])
    assert sorted(listed) == sorted(str(path.relative_to(ROOT)) for path in NOTEBOOKS)


def test_what_contributing_names_is_there():
    "A newcomer who looks up where something goes finds the notebook, and in it the name."
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| ") and "nbs/" in line]
    assert len(rows) == 11
    for row in rows:
        named = re.findall(r"`(nbs/[\w/]+)`", row)
        code = [(ROOT / f"{name}.ipynb").read_text(encoding="utf-8") for name in named]
        assert 1 <= len(named) <= 2, row
        for word in re.findall(r"`([A-Z_]{4,}|_open_tiff|quality|Augmentation|Architecture)`", row):
            assert any(word in notebook for notebook in code), (word, named)
