"A check that fails on this machine costs neither its page nor the site: the page shows it, and the command names it."

import json
import os
import shutil
import subprocess

import pytest
from command import microvae
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, writes

from microvae.study.runner import NotebookError, execute, failed_checks, run_chapter

#: The table of contents of a small book: front page, a page whose checks fail, one whose process is killed, one that refers to them, and one of the library.
CONTENTS = """
website:
  sidebar:
    contents:
      - nbs/index.ipynb
      - section: Pages
        contents: [nbs/failing.ipynb, nbs/dying.ipynb, nbs/referring.ipynb, nbs/core/00_errors.ipynb]
"""

PAGES = {
    "index": [new_markdown_cell("# Front\n\n> What for.")],
    "failing": [
        new_markdown_cell("# Failing\n\n> A page."),
        new_code_cell("print('before the failure')"),
        new_code_cell("#| hide\nsides = [4, 3]\nassert sides == sorted(sides)", id="unsorted"),
        new_code_cell('#| label: fig-a\n#| fig-cap: "A picture."\n#| echo: false\nno_such_picture()'),
        new_code_cell('#| label: tbl-a\n#| tbl-cap: "A table."\n#| echo: false\nno_such_table()'),
        new_code_cell("def broken(:"),
        new_code_cell("import no_such_package"),
        new_code_cell("print('behind the', 'failure')"),
    ],
    "dying": [
        new_markdown_cell("# Dying\n\n> Its process is killed, as by a full memory."),
        new_code_cell("import os, signal\nprint('going', flush=True)"),
        new_code_cell("os.kill(os.getpid(), 9)", id="killed"),
        new_code_cell("print('not reached')"),
    ],
    "referring": [new_markdown_cell("# Referring\n\n> To @fig-a and @tbl-a.")],
}


@pytest.fixture(scope="module")
def book(tmp_path_factory, root):
    "A small book with a page whose checks fail, and what the command said."
    folder = tmp_path_factory.mktemp("book")
    (folder / "nbs" / "report").mkdir(parents=True)
    (folder / "results").mkdir()
    (folder / "_quarto.yml").write_text(CONTENTS)
    (folder / "nbs" / "report" / "references.bib").write_text("")
    (folder / "nbs" / "core").mkdir()
    shutil.copy(root / "nbs" / "core" / "00_errors.ipynb", folder / "nbs" / "core")
    shutil.copytree(root / "nbs" / "book" / "site", folder / "nbs" / "book" / "site")  # layout of the pages
    kernel = dict(kernelspec=dict(name="python3", display_name="python3", language="python"))
    for name, cells in PAGES.items():
        (folder / "nbs" / f"{name}.ipynb").write_text(writes(new_notebook(cells=cells, metadata=kernel)))
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("OMP_NUM_THREADS", raising=False)  # as in most shells
        return folder, microvae("book", cwd=folder)


def text_of(book, page: str) -> str:
    return (book[0] / "_site" / "nbs" / f"{page}.html").read_text(encoding="utf-8")


def test_all_pages_are_there(book):
    folder, done = book
    assert (folder / "_site" / "index.html").exists(), done.stderr
    for page in ("failing", "dying", "referring", "core/00_errors"):
        assert (folder / "_site" / "nbs" / f"{page}.html").exists(), page


def test_the_page_shows_what_failed_and_all_else(book):
    text = text_of(book, "failing")
    assert "before the failure" in text
    assert "behind the failure" in text
    assert text.count("This check failed on this machine") == 1
    assert text.count("This cell ended in an error on this machine") == 4
    assert "assert sides == sorted(sides)" in text
    assert "SyntaxError" in text
    assert "No module named" in text
    assert "\x1b" not in text


def test_a_killed_process_is_shown_too(book):
    text = text_of(book, "dying")
    assert "going" in text
    assert "DeadKernelError" in text


def test_figures_and_tables_that_are_missing_keep_their_numbers(book):
    text = text_of(book, "referring")
    assert "Figure 1" in text
    assert "Table 1" in text
    assert "could not be made on this machine" in text_of(book, "failing")
    assert "Sphinx" not in book[1].stderr


def test_the_command_names_each_notebook_and_what_to_do(book):
    folder, done = book
    assert done.returncode == 1
    assert "checks failed on this machine in 2 notebooks" in done.stderr
    line = "nbs/failing.ipynb, cell unsorted: AssertionError, at  assert sides == sorted(sides) (and in 4 later cells)"
    assert line in done.stderr
    assert "nbs/dying.ipynb, cell killed: DeadKernelError" in done.stderr
    assert "microvae doctor" in done.stderr
    noted = json.loads((folder / "build" / "book" / "failed.json").read_text(encoding="utf-8"))["failed"]
    assert [check["cell"] for check in noted][:1] == ["unsorted"]
    assert len(noted) == 6


def test_a_missing_kernel_is_a_failure_of_its_page(tmp_path):
    source = tmp_path / "page.ipynb"
    source.write_text(writes(new_notebook(cells=[new_code_cell("1", id="first")])))
    execute(source, tmp_path / "out.ipynb", {}, kernel="nowhere", keep_going=True)
    [found] = failed_checks(tmp_path / "out.ipynb", "page.ipynb")
    assert found.cell == "first"
    assert "nowhere" in found.error
    with pytest.raises(NotebookError, match="NoSuchKernel"):
        execute(source, tmp_path / "out.ipynb", {}, kernel="nowhere")


def test_a_chapter_that_fails_leaves_the_others(tmp_path, monkeypatch):
    "The study goes on with the other chapters, names the one that failed, and ends with an exit code that says so."
    folder = tmp_path / "nbs" / "chapters"
    parameters = new_code_cell("profile = ''\ndevice = ''\nout = ''\nruns = ''", metadata=dict(tags=["parameters"]))
    kernel = dict(kernelspec=dict(name="python3", display_name="python3", language="python"))
    for name, code in [("01_memory_b", "assert 1 == 2"), ("02_lung_cells", "print('ran')")]:
        cells = [parameters, new_code_cell(code, id="claim")]
        (folder / name).mkdir(parents=True)
        (folder / name / "page.ipynb").write_text(writes(new_notebook(cells=cells, metadata=kernel)))
    done = microvae("study", "memory_b", "lung_cells", cwd=tmp_path)
    assert done.returncode == 2
    assert (
        os.path.join("nbs", "chapters", "01_memory_b", "page.ipynb") + " stopped in cell claim: AssertionError"
        in done.stderr
    )
    assert "lung_cells: " in done.stdout
    assert "memory_b: " not in done.stdout
    quick = tmp_path / "build" / "quick"
    [noted] = json.loads((quick / "memory_b" / "failed.json").read_text(encoding="utf-8"))["failed"]
    assert noted["line"] == "assert 1 == 2"
    assert not (quick / "lung_cells" / "failed.json").exists()
    repaired = (folder / "01_memory_b" / "page.ipynb").read_text().replace("1 == 2", "1 == 1")
    (folder / "01_memory_b" / "page.ipynb").write_text(repaired)
    monkeypatch.chdir(tmp_path)
    assert run_chapter("memory_b")
    assert not (quick / "memory_b" / "failed.json").exists()


#: Stands for the installed command: it fails where it is told to, and notes that where it is told to.
COMMAND = """#!/bin/bash
echo "ran $1"
[ "$1" = "$FAILING" ] || exit 0
[ -z "$NOTED" ] || { mkdir -p "$(dirname "$NOTED")" && echo "{}" > "$NOTED"; }
exit 1
"""


@pytest.mark.parametrize(
    "failing, noted, status, ran",
    [
        ("nothing", "", 0, ["study", "book"]),
        ("study", "build/quick/lung_cells/failed.json", 0, ["study", "book"]),
        ("book", "build/book/failed.json", 0, ["study", "book"]),
        ("study", "", 2, ["study"]),
        ("book", "", 2, ["study", "book"]),
    ],
)
def test_make_study_ends_well_where_what_failed_is_noted(failing, noted, status, ran, tmp_path, root):
    "The first command of the README makes what can be made; only a command that could not do its work ends it."
    if shutil.which("make") is None or os.name == "nt":
        pytest.skip("make is not installed, or does not run what stands for the command")
    (tmp_path / ".ci").mkdir()
    for name in ("Makefile", "settings.ini", "setup.py", "pyproject.toml", ".ci/requirements.lock"):
        shutil.copy(root / name, tmp_path / name)
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    for name, text in (("microvae", COMMAND), ("python", "#!/bin/bash\n")):
        program = tmp_path / ".venv" / "bin" / name
        program.write_text(text)
        program.chmod(0o755)
    (tmp_path / ".venv" / ".installed").touch()
    given = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    given |= {"FAILING": failing, "NOTED": noted}
    done = subprocess.run(["make", "study"], cwd=tmp_path, env=given, capture_output=True, text=True)
    assert done.returncode == status, done.stderr
    assert [line.split()[1] for line in done.stdout.splitlines() if line.startswith("ran ")] == ran
    assert "about " in done.stdout.splitlines()[0]
