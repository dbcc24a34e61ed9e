"""The rights book over a period, and the book made from the corpus's metadata."""

from datetime import date
from fractions import Fraction

import pytest

from tribute.errors import RightsError
from tribute.royalty.terms import Publisher, Right, RightsBook, rights_of_publishers

OCTOBER = (date(2026, 10, 1), date(2026, 11, 1))


def book(*rights: Right) -> RightsBook:
    names = sorted({right.publisher_id for right in rights})
    return RightsBook(rights, tuple(Publisher(name, name) for name in names), "sources.csv")


def test_splits_add_up_per_source() -> None:
    held = book(Right("s", "a", Fraction(1, 3)), Right("s", "b", Fraction(2, 3)), Right("t", "a", Fraction(1)))
    expected = {("s", "a"): Fraction(1, 3), ("s", "b"): Fraction(2, 3), ("t", "a"): Fraction(1)}
    assert held.period_splits(*OCTOBER, ["t", "s"]) == expected


def test_a_right_counts_by_its_days() -> None:
    """Sold on 11 October: ten of 31 days are the seller's."""
    sold = date(2026, 10, 11)
    held = book(Right("s", "a", Fraction(1), None, sold), Right("s", "b", Fraction(1), sold, None))
    expected = {("s", "a"): Fraction(10, 31), ("s", "b"): Fraction(21, 31)}
    assert held.period_splits(*OCTOBER, ["s"]) == expected


def test_rights_of_other_months_and_sources_do_not_matter() -> None:
    ended = Right("s", "old", Fraction(1), None, date(2026, 10, 1))
    elsewhere = Right("unused", "a", Fraction(1, 2))
    held = book(ended, Right("s", "a", Fraction(1), date(2026, 10, 1)), elsewhere)
    assert held.period_splits(*OCTOBER, ["s"]) == {("s", "a"): Fraction(1)}


def test_all_gaps_are_told_with_their_days_sum_and_rows() -> None:
    held = book(
        Right("s", "a", Fraction(1, 2), where="line 2"),
        Right("s", "b", Fraction(1, 2), None, date(2026, 10, 15), where="line 3"),
        Right("t", "a", Fraction(2, 3), where="line 4"),
        Right("t", "b", Fraction(1, 2), where="line 5"),
    )
    with pytest.raises(RightsError) as raised:
        held.period_splits(*OCTOBER, ["s", "t", "missing"])
    told = str(raised.value)
    assert told.startswith("sources.csv ")
    assert "source s: splits sum to 1/2 from 2026-10-15 to 2026-10-31 (line 2). Correct split" in told
    assert "source t: splits sum to 7/6 from 2026-10-01 to 2026-10-31 (line 4, line 5)" in told
    assert "source missing has no right. Add a row" in told
    assert len(told.splitlines()) == 4
    with pytest.raises(RightsError, match=r"source S has no right\. There is one for s, which is no source"):
        held.period_splits(*OCTOBER, ["S", "t"])


def test_the_hash_is_of_the_content() -> None:
    one, other = Right("s", "a", Fraction(1, 2), where="line 2"), Right("s", "b", Fraction(1, 2))
    assert book(one, other).sha256 == book(other, Right("s", "a", Fraction(2, 4))).sha256
    assert book(one, other).sha256 != book(one, Right("s", "b", Fraction(1, 3))).sha256
    assert book(one, other).sha256 != book(one, Right("s", "b", Fraction(1, 2), date(2026, 1, 1))).sha256


def test_metadata_give_each_source_to_its_publisher() -> None:
    held = rights_of_publishers({"numpy": "NumPy Developers", "scipy": "SciPy", "blas": "NumPy Developers"})
    assert held.publishers == (Publisher("numpy-developers", "NumPy Developers"), Publisher("scipy", "SciPy"))
    splits = held.period_splits(*OCTOBER, ["blas", "numpy", "scipy"])
    assert splits["blas", "numpy-developers"] == splits["numpy", "numpy-developers"] == 1


def test_publisher_ids_are_unique() -> None:
    names = ["Foo, Inc.", "Foo Inc", "Société Ü", "出版", "新聞", "x" * 80]
    held = rights_of_publishers({f"s{index}": name for index, name in enumerate(names)})
    ids = {publisher.name: publisher.publisher_id for publisher in held.publishers}
    assert len(set(ids.values())) == len(names)
    assert ids["Société Ü"] == "societe-u"
    assert all(set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-") for name in ids.values())
    assert held == rights_of_publishers({f"s{index}": names[index] for index in reversed(range(len(names)))})


def test_a_source_without_publisher_is_refused() -> None:
    with pytest.raises(RightsError, match=r"Source s names no publisher\..*rights\.sources"):
        rights_of_publishers({"s": " "})
