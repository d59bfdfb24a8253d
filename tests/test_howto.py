"The how-to pages: each is short, and each command that a page shows exists with these options."

import json
import re
import shlex
from pathlib import Path

import pytest
from typer.main import get_command

ROOT = Path(__file__).parents[1]
HOWTO = sorted((ROOT / "nbs" / "howto").glob("[0-9]*.ipynb"))
WITH_COMMANDS = [*HOWTO, *sorted((ROOT / "nbs" / "guide").glob("*.ipynb")), ROOT / "nbs" / "index.ipynb"]


def cells_of(page):
    return [
        (cell["cell_type"], "".join(cell["source"])) for cell in json.loads(page.read_text(encoding="utf-8"))["cells"]
    ]


def commands_of(page):
    "Lines of a page's shell blocks that call microvae, as lists of words."
    blocks = [block for kind, text in cells_of(page) for block in re.findall(r"```sh\n(.*?)```", text, re.S)]
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("microvae ")]
    return [shlex.split(line, comments=True)[1:] for line in lines]


@pytest.mark.parametrize("page", WITH_COMMANDS, ids=lambda page: page.stem)
def test_commands_of_a_page_are_understood(page):
    "Nobody copies a command with an option that is gone."
    from microvae.app.cli import app

    program = get_command(app)
    for name, *words in commands_of(page):
        if name.startswith("-"):
            continue
        command = program.commands[name]
        command.make_context(name, words, resilient_parsing=False)


@pytest.mark.parametrize("page", HOWTO, ids=lambda page: page.stem)
def test_a_page_is_one_screen(page):
    "At most five code cells are seen, and some sixty lines of text."
    cells = cells_of(page)
    seen = [text for kind, text in cells if kind == "code" and "#| echo: false" not in text]
    prose = "\n".join(text for kind, text in cells if kind == "markdown")
    assert len(seen) <= 5
    assert len([line for line in prose.splitlines() if line.strip()]) <= 60


@pytest.mark.parametrize("page", HOWTO, ids=lambda page: page.stem)
def test_a_page_says_for_whom_it_is_and_what_can_go_wrong(page):
    prose = "\n".join(text for kind, text in cells_of(page) if kind == "markdown")
    assert re.search(r"^> For ", prose, re.M)
    assert "## What can go wrong" in prose or "## When not to" in prose
    assert "Read on: " in prose
