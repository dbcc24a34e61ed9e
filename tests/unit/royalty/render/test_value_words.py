"""What a value compares with, by how the model was trained without sources, in every file that says it."""

import io
from typing import get_args

import openpyxl
import pytest
from pypdf import PdfReader

from tests.golden.statement_cases import page_text
from tests.statements import drafts, revised
from tribute.royalty.document import Repetition, Statement, repetition_words
from tribute.royalty.render import period_xlsx, render_html, render_pdf, render_report, render_text

KINDS: tuple[Repetition, ...] = get_args(Repetition)


def trained(repetition: Repetition | None) -> list[Statement]:
    return [revised(each, {"repetition": repetition}) for each in drafts()]


def renderings(statements: list[Statement]) -> dict[str, str]:
    """Every file about a period that explains values, each as one line of text."""
    first = statements[0]
    pages = PdfReader(io.BytesIO(render_pdf(first))).pages
    sheet = openpyxl.load_workbook(io.BytesIO(period_xlsx(statements)))["Policy"]
    found = {
        "text": render_text(first),
        "html": page_text(render_html(first)),
        "pdf": " ".join(each.extract_text() for each in pages),
        "xlsx": " ".join(str(value) for row in sheet.values for value in row),
    }
    return {name: " ".join(text.split()) for name, text in found.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_every_file_says_what_a_value_compares_with_and_nothing_else(kind: Repetition) -> None:
    words, others = repetition_words(kind), [repetition_words(each) for each in KINDS if each != kind]
    for name, text in renderings(trained(kind)).items():
        assert f"as likely as they would have been {words.without}." in text, name
        assert words.meaning in text, name
        for other in others:
            assert other.without not in text, name
            assert not other.meaning or other.meaning not in text, name


@pytest.mark.parametrize("kind", KINDS)
def test_picture_interval_and_certificate_speak_of_the_same_trainings(kind: Repetition) -> None:
    words, pages = repetition_words(kind), renderings(trained(kind))
    for name in ("html", "pdf"):
        assert f"the answers would have been {words.without}." in pages[name]
        assert f"estimated together: from {words.real} without some sources" in pages[name]
    assert f"was judged by {words.real} without known sources" in pages["text"]
    assert words.meaning in " ".join(page_text(render_report(trained(kind))).split())


def test_only_a_checkpoint_leaves_in_what_a_source_did_before() -> None:
    told = [kind for kind in KINDS if "before it is not taken out" in renderings(trained(kind))["text"]]
    assert told == ["continued"]


def test_a_statement_that_does_not_say_how_the_model_was_trained_claims_no_kind() -> None:
    for name, text in renderings(trained(None)).items():
        assert "as likely as they would have been without it." in text, name
        assert not any(repetition_words(kind).without in text for kind in KINDS), name
