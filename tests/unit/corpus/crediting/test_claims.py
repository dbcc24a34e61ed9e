"""Dates of claim decide which of two sources is credited for a duplicate."""

from datetime import date, datetime
from pathlib import Path

import pytest
from pydantic import ValidationError

from tests.unit.corpus.small import refusal, sentence, text_settings, write_jsonl
from tribute.config import CreditingSettings
from tribute.corpus import Duplicates, corpus_content, read_corpus
from tribute.corpus.crediting.claims import claim_date, read_claims

TEXTS = [sentence(n) for n in range(4)]


def rows(source: str, claimed: object = None, texts: list[str] = TEXTS) -> list[dict[str, object]]:
    said = {} if claimed is None else {"claimed": claimed}
    return [{"source": source, "text": text} | said for text in texts]


def sources_of(path: Path, **changes: object) -> list[str]:
    return [each.source.source_id for each in read_corpus(text_settings(path, **changes)).sources]


def test_the_copier_is_left_out_and_named(tmp_path: Path) -> None:
    other = rows("other", texts=[sentence(n) for n in range(10, 14)])
    path = write_jsonl(tmp_path / "c.jsonl", rows("copier", "2026-01-01") + rows("first", "2025-01-01") + other)
    corpus = read_corpus(text_settings(path))
    assert [each.source.source_id for each in corpus.sources] == ["first", "other"]
    assert corpus.duplicates == (Duplicates("copier", "first", "exact", 4),)
    assert sources_of(path, duplicates={"credit": "source_order"}) == ["copier", "other"]
    everybody = read_corpus(text_settings(path, duplicates={"credit": "off"}))
    assert ([each.source.source_id for each in everybody.sources], everybody.duplicates) == (
        ["copier", "first", "other"], ()
    )  # fmt: skip


def test_dates_of_sources_come_from_a_file_that_is_an_input(tmp_path: Path) -> None:
    other = rows("other", texts=[sentence(n) for n in range(10, 14)])
    path = write_jsonl(tmp_path / "c.jsonl", rows("copier") + rows("first") + other)
    claims = tmp_path / "claims.csv"
    claims.write_text("source_id,claimed\nfirst,2025-01-01\ncopier,2026-01-01\nother,\n")
    settings = text_settings(path, duplicates={"claims": claims})
    assert sources_of(path) == ["copier", "other"], "without dates the first by id"
    corpus = read_corpus(settings)
    assert [each.source.source_id for each in corpus.sources] == ["first", "other"]
    assert corpus.inputs == corpus_content(settings)
    claims.write_text("source_id,claimed\nfirst,2027-01-01\ncopier,2026-01-01\n")
    changed = {name for name, digest in corpus_content(settings).items() if corpus.inputs[name] != digest}
    assert changed == {"file corpus.duplicates.claims"}


def test_a_source_that_only_repeats_itself_is_no_copier(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "c.jsonl", [*rows("a"), *rows("b", texts=["too short", "too  short"])])
    assert "Source 'b' is empty" in refusal(lambda: read_corpus(text_settings(path)))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("source_id,date\na,2025-01-01\n", "column claimed is missing, got source_id, date"),
        ("source_id,claimed\n,2025-01-01\n", "line 2: column source_id holds None, expected text. Fill it in"),
        ("source_id,claimed\na,2025-01-01\na,2025-01-02\n", "line 3 repeats source a"),
        (
            "source_id,claimed\na,yesterday\n",
            "line 2: column claimed: yesterday is not a date. Write it as 2026-10-31",
        ),
        ("source_id,claimed\na,2025-W40\n", "2025-W40 is not a date"),
        ("source_id,claimed,claimd\na,,2025-01-01\n", "unknown column claimd. Did you mean claimed?"),
        ("source_id,claimed\na\n", "line 2: 1 cells for 2 columns"),
    ],
)
def test_bad_claims_are_refused(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "claims.csv"
    path.write_text(content)
    assert said in refusal(lambda: read_claims(path))
    assert "does not exist" in refusal(lambda: read_claims(tmp_path / "none.csv"))


def test_a_bad_date_of_a_document_is_refused(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "c.jsonl", rows("a", 20250101))
    assert "row 1: column 'claimed': 20250101 is not a date" in refusal(lambda: read_corpus(text_settings(path)))


def test_days_of_every_kind() -> None:
    assert claim_date("2026-10-31") == claim_date(date(2026, 10, 31)) == date(2026, 10, 31)
    assert claim_date("2026-10-31T23:30:00-02:00") == date(2026, 11, 1)
    assert claim_date("2026-10-31T23:30:00") == claim_date("2026-10-31 23:30") == date(2026, 10, 31)
    assert claim_date(datetime(2026, 10, 31, 9)) == date(2026, 10, 31)
    assert claim_date(None) is None


def test_an_unknown_way_of_crediting_is_refused() -> None:
    with pytest.raises(ValidationError, match="first_claimant"):
        CreditingSettings.model_validate({"credit": "last"})
