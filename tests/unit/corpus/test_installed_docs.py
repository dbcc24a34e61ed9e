"""The embedded corpus, on invented candidates and on what is really installed."""

from pathlib import Path

import pytest

from tests.unit.corpus.small import refusal
from tribute.config import InstalledDocs
from tribute.corpus import read_corpus
from tribute.corpus.installed_docs import Candidate, choose, quotas, read_installed_docs
from tribute.corpus.sources import Source

SMALL = InstalledDocs(kind="installed_docs", sources=8, max_bytes=100_000)


def candidate(source_id: str, publisher: str, size: int) -> Candidate:
    return Candidate(Source(source_id, source_id, publisher), (), size)


def test_the_largest_are_chosen() -> None:
    candidates = [candidate(f"s{size}", f"p{size}", size) for size in (1, 5, 3, 9, 7)]
    assert [each.size for each in choose(candidates, 3)] == [5, 7, 9]


def test_ties_go_to_the_first_id() -> None:
    candidates = [candidate(name, name, 1) for name in "dbca"]
    assert [each.source.source_id for each in choose(candidates, 2)] == ["a", "b"]


def test_large_distributions_of_one_publisher_leave_room_for_others() -> None:
    candidates = [candidate(f"big{i}", "giant", 1000 - i) for i in range(20)]
    candidates += [candidate(f"small{i}", f"press{i}", i + 1) for i in range(10)]
    chosen = choose(candidates, 10)
    assert len(chosen) == 10
    assert len({each.source.publisher for each in chosen}) == 8
    assert sum(each.source.publisher == "giant" for each in chosen) == 3


def test_quotas_follow_size_and_nobody_goes_without() -> None:
    found = quotas([9000, 900, 1], 100_000)
    assert sum(found) <= 100_000 < sum(found) + 3
    assert found[0] > found[1] > found[2] > 2_500


def test_what_is_installed_is_read_the_same_twice() -> None:
    one, other = read_corpus(SMALL), read_corpus(SMALL)
    assert one.sha256 == other.sha256
    assert one == other or one.inputs == other.inputs


def test_what_is_installed_has_eight_publishers_and_held_out_text_of_all() -> None:
    corpus = read_corpus(SMALL)
    assert len(corpus.sources) == 8
    assert len({each.source.publisher for each in corpus.sources}) >= 8
    assert all(len(each.held_out["tokens"]) and len(each.train["tokens"]) for each in corpus.sources)
    assert "tribute" not in {each.source.source_id for each in corpus.sources}


def test_a_source_stays_within_its_quota() -> None:
    _, documents, inputs = read_installed_docs(SMALL)
    sizes = {name: sum(len(d.text.encode()) for d in texts) for name, texts in documents.items()}
    assert 0.95 * SMALL.max_bytes < sum(sizes.values()) <= SMALL.max_bytes
    assert len(inputs) < 1000
    assert all(Path(file.path).stat().st_size == file.bytes for file in inputs)


def test_too_few_distributions_are_told() -> None:
    told = refusal(lambda: read_corpus(InstalledDocs(kind="installed_docs", sources=100_000)))
    assert "lower corpus.sources" in told


def test_nothing_is_imported_to_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def imported(*_: object, **__: object) -> None:
        raise AssertionError("a module was imported")

    monkeypatch.setattr("importlib.import_module", imported)
    read_installed_docs(SMALL)
