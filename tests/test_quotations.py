"Quotations of the study, in curly quotation marks, stand word for word in their sources."

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
#: Each quotation with its source, the section that it is in, and the sentence around it.
KEPT = json.loads((ROOT / "tests/reference/quotations.json").read_text(encoding="utf-8"))
#: The sources, which are not published with the project: where they lie, the kept sentences are looked up in them.
PLACES = [place / "shared/seeds" for place in (ROOT, *ROOT.parents)]
SOURCES = next((place for place in PLACES if place.is_dir()), PLACES[0])
#: Source of the quotations of each chapter; those of the thesis if it is not named.
OF_CHAPTER = {
    "09_surfaces": "deepdlt",
    "10_brain": "brain_mri_ae_vae",
    "11_endoscopy": "endovae",
    "12_faces_and_digits": "fcn_conv_autoencoders",
}


def plain(text: str) -> str:
    "Text without the marks of Markdown and LaTeX, in small letters, with single spaces."
    for mark, letter in {r"\beta": "β", r"\times": "×", r"\approx": "≈", "’": "'", "–": "-"}.items():
        text = text.replace(mark, letter)
    text = re.sub(r"[*$`\\]", "", text)
    text = re.sub(r"\s*([=×])\s*", r" \1 ", text)
    return " ".join(text.split()).casefold()


def cells_of(notebook: Path) -> list[dict]:
    return json.loads(notebook.read_text(encoding="utf-8"))["cells"]


def quotations() -> list[tuple[str, str]]:
    "Source and text of every quotation of chapters, report and study."
    found = set()
    for notebook in sorted((ROOT / "nbs").glob("*/**/*.ipynb")):
        folder = notebook.relative_to(ROOT / "nbs").parts
        if folder[0] not in ("chapters", "report", "study"):
            continue
        source = OF_CHAPTER.get(folder[1], "thesis")
        for cell in cells_of(notebook):
            found |= {(source, text) for text in re.findall(r"“([^”]+)”", "".join(cell["source"]))}
    return sorted(found)


def test_every_quotation_is_in_a_kept_sentence():
    "Without the sources, the kept list decides; what is quoted anew must be added to it with its sentence."
    sentences = {(entry["source"], entry["quotation"]): entry["sentence"] for entry in KEPT}
    missing = [key for key in quotations() if plain(key[1]) not in plain(sentences.get(key, ""))]
    assert not missing, missing


def test_the_list_keeps_nothing_else():
    assert {(entry["source"], entry["quotation"]) for entry in KEPT} == set(quotations())


def test_kept_sentences_say_where_they_stand():
    assert all(entry["section"] for entry in KEPT)


@pytest.mark.skipif(not SOURCES.is_dir(), reason="the sources are not on this machine")
def test_kept_sentences_stand_in_their_sources():
    texts = {path.stem: plain(path.read_text(encoding="utf-8")) for path in SOURCES.glob("*.md")}
    missing = [entry for entry in KEPT if plain(entry["sentence"]) not in texts[entry["source"]]]
    assert not missing, missing


def test_chapters_quote_in_curly_marks_only():
    "A quotation in straight marks would escape the list."
    straight = []
    for notebook in sorted((ROOT / "nbs/chapters").glob("*/*.ipynb")):
        for cell in cells_of(notebook):
            if cell["cell_type"] != "markdown":
                continue
            text = re.sub(r"```.*?```|`[^`]*`", "", "".join(cell["source"]), flags=re.S)
            straight += [(notebook.parent.name, part) for part in re.findall(r'"([^"\n]+)"', text)]
    assert not straight, straight
