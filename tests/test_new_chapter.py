"A chapter is one folder: whoever adds one finds it everywhere, and every chapter says of itself what its page says."

import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from microvae.study.chapter import chapters

STUDY = """#| export
from microvae.chapters.depth_rule import claims, run
from microvae.study.chapter import Chapter

SIZES = {"quick": dict(cells=30, epochs=1, seeds=(0,))}
CHAPTER = Chapter(77, "dividing_cells", "Do cells divide?", "A question of a test.", "", "lung_fret", SIZES, run, claims)"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory, root):
    "The project's notebooks and package, and one more folder of a chapter."
    folder = tmp_path_factory.mktemp("copy")
    for name in ("nbs", "microvae"):
        shutil.copytree(root / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("settings.ini", "setup.py", "_quarto.yml", "README.md", "pyproject.toml"):
        shutil.copy(root / name, folder / name)
    template = json.loads((root / "nbs" / "chapters" / "04_depth_rule" / "page.ipynb").read_text())
    title = dict(cell_type="markdown", id="c00", metadata={}, source="# Do cells divide?\n\n> A question of a test.")
    mine = folder / "nbs" / "chapters" / "77_dividing_cells"
    mine.mkdir()
    code = [
        dict(cell_type="code", id=f"c0{i}", metadata={}, outputs=[], execution_count=None, source=source)
        for i, source in enumerate(("#| default_exp chapters.dividing_cells", STUDY), 1)
    ]
    (mine / "study.ipynb").write_text(json.dumps(template | dict(cells=[title, *code])))
    (mine / "page.ipynb").write_text(json.dumps(template | dict(cells=[title, *template["cells"][1:2]])))
    subprocess.run([shutil.which("nbdev_export", path=os.path.dirname(sys.executable))], cwd=folder, check=True)
    return folder


def in_copy(copy, code: str) -> str:
    given = os.environ | {"PYTHONPATH": str(copy), "COLUMNS": "200"}
    done = subprocess.run([sys.executable, "-c", code], cwd=copy, env=given, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_a_new_chapter_is_in_the_help(copy):
    code = "import sys; sys.argv = ['microvae', 'study', '--help']; from microvae.app.cli import app; app(standalone_mode=False)"
    text = in_copy(copy, code)
    assert "dividing_cells" in text
    assert "Do cells divide?" in text
    assert text.rindex("rotation") < text.rindex("surfaces") < text.rindex("dividing_cells")


def test_a_new_chapter_is_in_the_contents_and_among_the_pages(copy):
    code = "from microvae.book.site import module_table, pages_of, parts; c = parts(); print([p.title for p in c if any('77_' in str(x) for x in p.pages)]); print(*pages_of(c)); print(module_table('chapters'))"
    text = in_copy(copy, code)
    assert "['The study']" in text
    assert "nbs/chapters/77_dividing_cells/page.ipynb" in text
    assert "nbs/chapters/77_dividing_cells/study.ipynb" in text
    assert "[`dividing_cells`](77_dividing_cells/study.ipynb)" in text


def test_its_command_asks_for_its_page(copy):
    code = "from microvae.study.runner import run_chapter; run_chapter('dividing_cells', notebooks='elsewhere')"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=copy,
        env=os.environ | {"PYTHONPATH": str(copy)},
        capture_output=True,
        text=True,
    )
    assert os.path.join("elsewhere", "chapters", "77_dividing_cells", "page.ipynb") in done.stderr


@pytest.mark.parametrize("chapter", chapters().values(), ids=lambda chapter: chapter.name)
def test_a_page_has_the_title_and_the_images_of_its_chapter(chapter, root):
    cells = json.loads((root / "nbs" / "chapters" / chapter.folder / "page.ipynb").read_text())["cells"]
    sources = ["".join(cell["source"]) for cell in cells]
    assert sources[0] == f"# {chapter.title}\n\n> {chapter.question}"
    assert re.search(r'^data = "(.*?)"', sources[1], re.M)[1] == chapter.data
    assert set(chapter.sizes) == {"quick", "standard", "paper"}
    for size in chapter.sizes.values():
        assert {"cells", "seeds"} <= set(size)
