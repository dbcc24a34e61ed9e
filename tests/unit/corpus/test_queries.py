"""Query tables: rows, accounting and hashes."""

import hashlib
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest

from tests.unit.corpus.small import idx_settings, refusal
from tribute.config import IdxQueries
from tribute.corpus import Accounting, QueryTable, array_queries, held_out_queries, idx_queries, text_queries


def held(*counts: int) -> dict[str, dict[str, np.ndarray]]:
    """Held-out tokens of sources a, b, ...; row i of a source is filled with i."""
    rows = [np.repeat(np.arange(count, dtype=np.int16)[:, None], 4, axis=1) for count in counts]
    return {chr(97 + number): {"tokens": tokens} for number, tokens in enumerate(rows)}


def test_a_long_text_has_several_rows_of_one_query() -> None:
    table = text_queries(["q1", "q2"], ["abcdef", "xy"], 4)
    assert table.rows["tokens"].tolist() == [[97, 98, 99, 100], [100, 101, 102, -1], [120, 121, -1, -1]]
    assert table.row_query.tolist() == [0, 0, 1]
    assert table.digests[1] == hashlib.sha256(b"xy").hexdigest()


def test_what_is_not_said_counts_once() -> None:
    table = text_queries(["q"], ["text"], 9)
    assert (table.weights.tolist(), table.inclusion.tolist()) == ([1.0], [1.0])
    assert (table.times, table.customers) == ((None,), (None,))


def test_no_texts_give_an_empty_table() -> None:
    assert text_queries([], [], 9).rows["tokens"].shape == (0, 9)


def test_held_out_rows_are_evenly_spaced() -> None:
    table = held_out_queries(held(9, 2), per_source=3)
    assert table.query_ids == ("a/0", "a/4", "a/8", "b/0", "b/1")
    assert table.rows["tokens"][:, 0].tolist() == [0, 4, 8, 0, 1]
    assert table.row_query.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("count", range(1, 40))
def test_held_out_queries_are_as_many_as_asked_for_where_there_are_enough(count: int) -> None:
    assert len(held_out_queries(held(count), per_source=7).query_ids) == min(count, 7)


def test_a_source_without_held_out_rows_has_no_queries() -> None:
    assert held_out_queries(held(0, 3), per_source=1).query_ids == ("b/0",)


def test_nothing_held_out_at_all_is_told() -> None:
    assert "Raise corpus.held_out" in refusal(lambda: held_out_queries(held(0, 0), per_source=3))


def test_held_out_arrays_keep_labels_beside_features() -> None:
    columns = {"features": np.arange(8, dtype=np.float32).reshape(4, 2), "labels": np.arange(4)}
    table = held_out_queries({"a": columns}, per_source=2)
    assert table.rows["features"].tolist() == [[0, 1], [6, 7]]
    assert table.rows["labels"].tolist() == [0, 3]


def test_idx_queries_are_in_file_order(tmp_path: Path) -> None:
    files = idx_settings(tmp_path, ["a", "b"])
    settings = IdxQueries(kind="idx", images=files.images, labels=files.labels, limit=4)
    table = idx_queries(settings)
    assert table.rows["labels"].tolist() == [0, 1, 2, 0]
    assert len(idx_queries(settings.model_copy(update={"limit": None})).query_ids) == 6
    assert len(idx_queries(settings.model_copy(update={"limit": 99})).query_ids) == 6


def test_the_digest_of_an_array_query_sees_features_and_label() -> None:
    digests = array_queries(list("abcd"), [[1, 2], [1, 2], [1, 3], [1, 2]], [0, 1, 0, 0]).digests
    assert digests[0] == digests[3]
    assert len(set(digests)) == 3


def test_a_query_that_is_not_finite_is_named() -> None:
    assert "'q2'" in refusal(lambda: array_queries(["q1", "q2"], [[1.0], [float("nan")]], [0, 1]))


def test_features_of_different_lengths_are_told() -> None:
    assert "all of one length" in refusal(lambda: array_queries(["q1", "q2"], [[1.0], [1.0, 2.0]], [0, 1]))


def test_a_repeated_id_is_told() -> None:
    told = refusal(lambda: text_queries(["q", "r", "q"], ["aa", "bb", "cc"], 5))
    assert "'q' stands more than once" in told


def used(*moments: datetime | None) -> QueryTable:
    ids = [f"q{number}" for number in range(len(moments))]
    return text_queries(ids, [f"text {name} of some length" for name in ids], 9, Accounting(times=moments))


def test_a_period_is_counted_in_utc() -> None:
    west = timezone(timedelta(hours=-5))
    table = used(
        datetime(2026, 9, 30, 23, 59, 59, tzinfo=UTC),
        datetime(2026, 10, 1, tzinfo=UTC),
        datetime(2026, 9, 30, 20, tzinfo=west),
        datetime(2026, 10, 31, 20, tzinfo=west),
        None,
    )
    assert table.within(date(2026, 10, 1), date(2026, 11, 1)).query_ids == ("q1", "q2", "q4")


def test_taking_queries_takes_their_rows() -> None:
    texts = ["abcdef", "xy", "klmnopqrs"]
    whole = text_queries(["a", "b", "c"], texts, 4, Accounting(weights=[1, 2, 3], customers=["x", "y", None]))
    alone = text_queries(["c", "a"], [texts[2], texts[0]], 4, Accounting(weights=[3, 1], customers=[None, "x"]))
    taken = whole.take([2, 0])
    assert np.array_equal(taken.rows["tokens"], alone.rows["tokens"])
    assert np.array_equal(taken.row_query, alone.row_query)
    assert taken.sha256 == alone.sha256


def test_taking_nothing_leaves_an_empty_table() -> None:
    nothing = text_queries(["a"], ["abcdef"], 4).take([])
    assert nothing.query_ids == ()
    assert nothing.rows["tokens"].shape == (0, 4)


def test_the_hash_sees_contents_and_accounting() -> None:
    moment = datetime(2026, 10, 1, tzinfo=UTC)
    variants = [
        text_queries(["q"], ["text"], 9),
        text_queries(["r"], ["text"], 9),
        text_queries(["q"], ["next"], 9),
        text_queries(["q"], ["text"], 9, Accounting(weights=[2.0])),
        text_queries(["q"], ["text"], 9, Accounting(inclusion=[0.5])),
        text_queries(["q"], ["text"], 9, Accounting(customers=["c"])),
        text_queries(["q"], ["text"], 9, Accounting(times=[moment])),
    ]
    assert len({each.sha256 for each in variants}) == len(variants)
