"Names, help and pages use the terms of microscopy and machine learning, none of our own."

import ast
import json
import re
from pathlib import Path

import pytest
from typer.main import get_command

ROOT = Path(__file__).parents[1]
MODULES = sorted(path for path in (ROOT / "microvae").rglob("*.py") if path.name != "_modidx.py")
NOTEBOOKS = sorted((ROOT / "nbs").rglob("*.ipynb"))

# what was said -> what is said; a name is judged by its words, e.g. `is_told` by `is` and `told`
NAMES = {
    "told": "message, status, log",
    "tell": "message, status, log",
    "tells": "message, status, log",
    "twin": "second view, augmented pair",
    "twins": "second view, augmented pair",
    "lent": "shared array",
    "lend": "shared array",
    "laid": "pose-normalised, rotated",
    "upright": "pose-normalised",
    "straightened": "pose-normalised",
    "turned": "rotated",
    "strange": "foreground, outlier, anomaly",
    "alone": "exclusive, unmatched, marginal",
    "paid": "regularised",
    "further": "extra term",
    "footing": "baseline",
    "weighed": "weighted",
    "room": "subpackage",
    "rooms": "subpackages",
    "house": "pipeline",
    "floor": "layer",
}
PHRASES = {
    "told": "reported, shown",
    "a word about": "message, notice",
    "twins": "second view, augmented pair",
    "lent": "shared",
    "laid straight": "pose-normalised",
    "straightened": "pose-normalised",
    "upright": "pose-normalised, in canonical pose",
    "stranger": "more anomalous",
    "strange": "foreground, outlier, anomaly",
    "footing": "baseline",
    "weighed": "weighted",
    "the share that counts": "fraction",
    "rooms": "subpackages",
    "what a biologist holds": "user-facing tools",
    "goes on where it was cut off": "resumes",
    "go on where they were cut off": "resume",
    "when nothing becomes better": "early stopping",
    "unlike all": "unlike the training data",
    "less 0.5": "AUC − 0.5",
    "probability that was said": "predicted probability",
    "share that came true": "observed frequency",
    "holds zero": "inconclusive (95 % CI includes 0)",
    "first less second": "difference",
    "ways of cells": "trajectories",
    "no address asked": "no network access",
    "leaves the field": "extends beyond the field of view",
    "what it makes of": "its reconstruction of",
    "make of them": "their reconstructions",
    "makes of them": "its reconstructions",
    "nothing is left over": "all rows and files match",
    "cannot be had": "is not available",
    "a row a": "a row for each",
    "a line a": "a line for each",
    "a panel a": "a panel for each",
    "side by side with ours": "compared with ours",
    "what holds": "claims, results",
    "what a model gives": "outputs of a model",
    "in one hand": "with one style",
}


def names_of(module: Path) -> set[str]:
    "Names that a module defines without an underscore, and the parameters of its public functions."
    tree = ast.parse(module.read_text(encoding="utf-8"))
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            found.add(node.name)
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            arguments = node.args
            found |= {one.arg for one in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)}
    return found


def phrases_in(text: str) -> list[str]:
    "Which of the phrases a text holds, without regard to its line breaks and its code."
    text = " ".join(re.sub(r"`[^`]*`", "", text).lower().split())
    return [phrase for phrase in PHRASES if re.search(rf"\b{re.escape(phrase)}\b", text)]


def test_the_two_lists_find_what_they_are_for():
    assert phrases_in("This cell is a\n strange one.") == ["strange"]
    assert phrases_in("`strange` and stranger") == ["stranger"]


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_names_are_the_fields(module):
    wrong = {name: NAMES[word] for name in names_of(module) for word in name.lower().split("_") if word in NAMES}
    assert wrong == {}


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: str(path.relative_to(ROOT)))
def test_pages_are_in_plain_words(notebook):
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    text = "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    assert {phrase: PHRASES[phrase] for phrase in phrases_in(text)} == {}


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_documentation_of_names_is_in_plain_words(module):
    tree = ast.parse(module.read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.ClassDef, ast.Module)
    texts = [ast.get_docstring(node) or "" for node in ast.walk(tree) if isinstance(node, kinds)]
    assert {phrase: PHRASES[phrase] for phrase in phrases_in("\n\n".join(texts))} == {}


def help_of(command) -> str:
    "Help of a command, of its options, and of the commands below it."
    texts = [command.help or "", *(getattr(option, "help", None) or "" for option in command.params)]
    return "\n\n".join([*texts, *map(help_of, getattr(command, "commands", {}).values())])


def test_help_of_the_command_line_is_in_plain_words():
    from microvae.app.cli import app

    assert {phrase: PHRASES[phrase] for phrase in phrases_in(help_of(get_command(app)))} == {}
