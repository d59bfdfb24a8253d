"The built site in a browser: it opens from disk, is complete, and asks no other host for anything."

import os
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from microvae.study.chapter import chapters
from microvae.study.runner import failure_summary, made_by_study, noted_failures

SITE = Path(__file__).parents[1] / "_site"
PAGES = (
    sorted(p.relative_to(SITE).as_posix() for p in SITE.rglob("*.html") if "_static" not in p.parts)
    if SITE.exists()
    else []
)


def test_site_was_built():
    assert (SITE / "index.html").exists(), "run  make study  first"
    assert len(PAGES) > 25


def test_every_check_of_the_notebooks_passed(root):
    "`make study` builds the site whatever fails; this is where a failed check ends `make test`."
    failed = noted_failures(root / folder for folder in made_by_study())
    assert failed == [], failure_summary(failed)


@pytest.fixture
def page(browser):
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.foreign = []
    page.broken = []
    page.on(
        "request",
        lambda request: request.url.startswith(("file:", "data:", "blob:")) or page.foreign.append(request.url),
    )
    page.on(
        "requestfailed", lambda request: request.url.startswith("blob:") or page.broken.append(request.url)
    )  # a blob is the page's own; leaving it ends its reading
    yield page
    page.close()


def test_every_page_loads_alone_and_whole(page):
    "A biologist on a plane reads the report, with every picture in its place."
    for name in PAGES:
        page.goto((SITE / name).as_uri())
        assert page.foreign == [], name
        assert page.broken == [], name
        blank = page.eval_on_selector_all(
            "img", "all => all.filter(i => i.complete && i.naturalWidth === 0).map(i => i.src)"
        )
        assert blank == [], name


#: Chapters with more than one table of claims: phase 1 has those on memorising apart.
TABLES = {"memory_b": 2}
#: Figures that a chapter has at least, where not four.
FEWER = {"controls": 2, "codes": 2, "depth_rule": 2, "modalities": 2, "rotation": 3}


@pytest.mark.parametrize("chapter", chapters().values(), ids=lambda chapter: chapter.name)
def test_a_chapter_has_numbered_figures_and_a_claims_table(page, chapter):
    page.goto((SITE / f"nbs/chapters/{chapter.folder}/page.html").as_uri())
    captions = page.eval_on_selector_all("figcaption .caption-number", "all => all.map(c => c.textContent)")
    assert len(captions) >= FEWER.get(chapter.name, 4)
    assert all(re.match(r"Figure \d+", c) for c in captions)
    assert page.locator("table:has(th:has-text('verdict'))").count() == TABLES.get(chapter.name, 1)
    text = page.inner_text("main")
    assert not re.search(r"@fig-|@tbl-|\[@|\{numref\}|:::|#\|", text)


def test_search_finds_a_term(page):
    page.goto((SITE / "search.html").as_uri() + "?q=active+units")
    page.wait_for_selector("ul.search li", timeout=15000)


def test_front_page_shows_a_picture_the_commands_and_the_map(page):
    "A biologist sees what it is for, what to type, and a map to click on."
    page.goto((SITE / "index.html").as_uri())
    text = page.inner_text("main")
    assert "microvae train my_crops/" in text
    assert "microvae explore runs" in text
    assert page.locator("main img").count() >= 1
    assert page.locator(".doors a").count() == 9
    page.locator("main iframe").scroll_into_view_if_needed()
    page.frame_locator("main iframe").get_by_text(re.compile(r"[\d,]+ of [\d,]+ cells")).wait_for(timeout=30_000)


def test_reads_well_on_a_phone(browser):
    "Nothing is wider than the screen; wide tables scroll by themselves."
    phone = browser.new_page(viewport={"width": 390, "height": 844})
    for name in (
        "index.html",
        "nbs/chapters/01_memory_b/page.html",
        "nbs/chapters/10_brain/page.html",
        "nbs/report/comparison.html",
        "nbs/report/background.html",
        "nbs/data/11_simulate.html",
        "nbs/howto/index.html",
        "nbs/howto/09_other_programs.html",
    ):
        phone.goto((SITE / name).as_uri())
        assert phone.evaluate("document.documentElement.scrollWidth") <= 391, name
    phone.close()


class Places(HTMLParser):
    "Where a page leads, and the places in it that others lead to."

    def __init__(self, text: str):
        super().__init__()
        self.links = []
        self.ids = set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.ids |= {found[name] for name in ("id", "name") if found.get(name)}
        self.links += [found[name] for name in ("href", "src") if found.get(name)]


def test_every_link_leads_somewhere():
    "Nobody clicks into nothing: files are there, and the places within them."
    pages = {(SITE / name).resolve(): Places((SITE / name).read_text(encoding="utf-8")) for name in PAGES}
    broken = []
    for path, page in pages.items():
        for link in page.links:
            to = urlsplit(link)
            if to.scheme or to.netloc:
                assert to.scheme in ("https", "mailto", "data"), f"{path}: {link}"
                continue
            target = (path.parent / unquote(to.path)).resolve() if to.path else path
            if not target.exists() or (to.fragment and target in pages and to.fragment not in pages[target].ids):
                broken.append(f"{path.relative_to(SITE)}: {link}")
    assert broken == []


#: A page of each kind; with MICROVAE_PAGES=all each page.
KINDS = [
    "index.html",
    "nbs/guide/1_start.html",
    "nbs/guide/3_library.html",
    "nbs/howto/index.html",
    "nbs/howto/04_batch_effects.html",
    "nbs/chapters/01_memory_b/page.html",
    "nbs/chapters/10_brain/page.html",
    "nbs/report/background.html",
    "nbs/report/comparison.html",
    "nbs/report/reliability.html",
    "nbs/data/10_images.html",
    "nbs/app/index.html",
]


@pytest.mark.parametrize("width", [1280, 390])
def test_pages_are_for_everybody(browser, width):
    "axe finds nothing that keeps somebody from reading: contrast, names of pictures, order of headings, keyboard."
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = browser.new_page(viewport={"width": width, "height": 900})
    found = []
    for name in PAGES if os.environ.get("MICROVAE_PAGES") == "all" else KINDS:
        page.goto((SITE / name).as_uri())
        for problem in axe.run(page, options={"iframes": False}).response["violations"]:
            found.append(
                f"{name}: {problem['id']} ({len(problem['nodes'])}×, e.g. {problem['nodes'][0]['html'][:120]})"
            )
    page.close()
    assert found == []
