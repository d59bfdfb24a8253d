"The report: its outcomes are computed, its questions have claims, and its conclusion is one page."

import json
import re

import pytest

from microvae.book.site import parts
from microvae.study.claims import VERDICTS
from microvae.study.tables import QUESTIONS, all_claims, claims_on, longest_results, settings_table

#: Pages that state outcomes.
OUTCOMES = ("abstract", "discussion", "conclusion")


@pytest.fixture(scope="module")
def found():
    return all_claims()


def cells_of(root, page: str, kind: str) -> list[str]:
    "Sources of the cells of one kind of a page of the report."
    cells = json.loads((root / f"nbs/report/{page}.ipynb").read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == kind]


def test_the_study_begins_with_the_abstract_and_has_a_discussion(root):
    [study] = [part for part in parts(root / "_quarto.yml") if part.title == "The study"]
    names = [page.stem for page in study.pages]
    assert names[0] == "abstract"
    assert names.index("real_cells") < names.index("discussion") < names.index("conclusion") < names.index("appendix")


@pytest.mark.parametrize("page", OUTCOMES)
def test_outcomes_are_not_typed(page, root):
    "A number of verdicts in the prose would stay as it is when results change."
    kinds = "|".join(VERDICTS)
    typed = re.compile(rf"\d+ (?:claims|{kinds})|\d+ of \d+ claims|(?:is|are) \*?(?:{kinds})\b")
    assert [found for text in cells_of(root, page, "markdown") for found in typed.findall(text)] == []


def test_the_conclusion_is_one_page(root):
    words = len(" ".join(cells_of(root, "conclusion", "markdown")).split())
    computed = sum(len(text.split()) for parts in QUESTIONS.values() for text, _, _ in parts)
    assert words + computed <= 350
    assert not any("tbl-cap" in text for text in cells_of(root, "conclusion", "code"))


def test_the_appendix_lists_all_claims(root):
    shown = "\n".join(cells_of(root, "appendix", "code"))
    assert shown.count("show_claims(") == 4  # its definition, and a table for each of three kinds of chapters


@pytest.mark.parametrize("question", QUESTIONS)
def test_every_part_of_a_question_has_claims(question, found):
    "A claim that is worded anew must be found by the report again."
    missing = [part for part in QUESTIONS[question] if part[1] in found and not len(claims_on(found, part[1], part[2]))]
    assert missing == []


def test_every_chapter_has_settings(found):
    table = settings_table({name: longest_results(name) for name in found})
    assert table.chapter.tolist() == list(found)
    for column in ("data", "images", "networks", "objectives", "epochs", "seeds", "hardware; commit"):
        assert table[column].str.len().gt(0).all(), column
