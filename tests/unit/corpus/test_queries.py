"""Queries and usage files."""

import json
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest

from tests.projects import write_usage
from tests.tiny_tokenizers import FIRST_WORD, save_words
from tests.unit.corpus.small import refusal
from tribute.corpus import Accounting, array_queries, held_out_queries, text_queries, usage_queries
from tribute.errors import CorpusError


def test_a_long_text_is_one_query_of_several_rows() -> None:
    table = text_queries(["short", "long"], ["abc", "abcdefgh"], 4)
    assert table.row_query.tolist() == [0, 1, 1, 1]
    assert table.rows["tokens"].shape == (4, 4)


def test_taking_queries_takes_their_rows_and_accounting() -> None:
    table = text_queries(["a", "b", "c"], ["abc", "abcdefgh", "xyz"], 4, Accounting(weights=[1.0, 2.0, 3.0]))
    taken = table.take([2, 1])
    assert taken.query_ids == ("c", "b")
    assert taken.row_query.tolist() == [0, 1, 1, 1]
    assert taken.weights.tolist() == [3.0, 2.0]
    np.testing.assert_array_equal(taken.rows["tokens"], table.rows["tokens"][[4, 1, 2, 3]])
    assert taken.sha256 != table.sha256
    assert table.take([0, 1, 2]).sha256 == table.sha256


def test_held_out_queries_are_spread_over_every_source() -> None:
    rows = {"a": {"x": np.arange(100)}, "b": {"x": np.arange(3)}, "c": {"x": np.arange(0)}}
    table = held_out_queries(rows, 5)
    assert table.query_ids == ("a/0", "a/25", "a/50", "a/74", "a/99", "b/0", "b/1", "b/2")
    assert table.rows["x"].tolist() == [0, 25, 50, 74, 99, 0, 1, 2]


def test_usage_falls_into_its_month_by_utc(tmp_path: Path) -> None:
    rows = write_usage(tmp_path / "usage.jsonl", "2026-10", uses=4)
    rows[1]["time"] = "2026-10-31T23:30:00-02:00"  # November in UTC
    rows[2]["time"] = None
    (tmp_path / "usage.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    table = usage_queries(tmp_path / "usage.jsonl", 33)
    october = table.within(date(2026, 10, 1), date(2026, 11, 1))
    assert october.query_ids == ("q000", "q003"), "without a time a use is of no month"
    assert october.times[0] == datetime(2026, 10, 1, 12, tzinfo=UTC)
    assert october.weights.tolist() == [1.0, 1.0]
    assert october.customers[0] == "customer-0"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"query_id": "q000"}, "Query id 'q000' occurs more than once"),
        ({"weight": -1}, "row 2: column 'weight' is -1: expected 0, or a number"),
        ({"inclusion_probability": 0}, "row 2: column 'inclusion_probability' is 0: .*above 0"),
        ({"time": "2026-10-05"}, "row 2: column 'time' .*with its offset"),
        ({"text": ""}, "row 2: column 'text'"),
        ({"wieght": 2}, "unknown column wieght. Did you mean weight"),
    ],
)
def test_a_bad_use_is_named(tmp_path: Path, change: dict, message: str) -> None:
    rows = write_usage(tmp_path / "usage.jsonl", "2026-10", uses=3)
    rows[1] |= change
    (tmp_path / "usage.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(CorpusError, match=message):
        usage_queries(tmp_path / "usage.jsonl", 33)


def test_features_must_be_finite_and_of_one_length() -> None:
    with pytest.raises(CorpusError, match="Query 'b': features hold NaN"):
        array_queries(["a", "b"], [[1.0], [float("inf")]], [0, 1])
    with pytest.raises(CorpusError, match="all of one length"):
        array_queries(["a", "b"], [[1.0], [1.0, 2.0]], [0, 1])


def test_the_months_of_queries_are_those_of_their_times_in_utc() -> None:
    late = datetime.fromisoformat("2026-11-01T00:30:00+01:00")
    times = [datetime(2026, 12, 3, tzinfo=UTC), late, None, datetime(2026, 12, 9, tzinfo=UTC)]
    table = text_queries(["a", "b", "c", "d"], ["abc"] * 4, 4, Accounting(times=times))
    assert table.months() == ["2026-10", "2026-12"]


@pytest.mark.parametrize(
    ("weight", "inclusion", "fits"),
    [(0.0, 1.0, True), (1e-4, 1.0, True), (1e12, 1.0, True), (1.0, 1e-12, True)]
    + [(w, 1.0, False) for w in (4e-14, 1e-9, 9e-5, 1e13, 1e22, 1e27, 1e308, 5e-324)]
    + [(1.0, 1e-13, False), (1e6, 1e-7, False)],
)
def test_a_weight_that_sums_cannot_hold_is_refused_with_the_bounds(
    weight: float, inclusion: float, fits: bool
) -> None:
    accounting = Accounting(weights=[weight], inclusion=[inclusion])
    if fits:
        assert array_queries(["q"], [[1.0]], [0], accounting).weights.tolist() == [weight]
        return
    with pytest.raises(CorpusError, match=r"Query 'q' cannot be counted: .* from 0.0001, and at most 1e\+12 uses"):
        array_queries(["q"], [[1.0]], [0], accounting)


def test_a_prompt_is_context_and_makes_another_query() -> None:
    plain = text_queries(["a", "b"], ["xyz", "zz"], 4)
    asked = text_queries(["a", "b"], ["xyz", "zz"], 4, prompts=["pq", None])
    assert list(plain.rows) == ["tokens"]
    assert asked.rows["tokens"].tolist() == [[112, 113, 120, 121], [121, 122, -1, -1], [122, 122, -1, -1]]
    assert asked.rows["target"].astype(int).tolist() == [[0, 0, 1, 1], [0, 1, 0, 0], [0, 1, 0, 0]]
    assert asked.digests[0] != plain.digests[0] and asked.digests[1] == plain.digests[1]
    moved = text_queries(["a"], ["yz"], 4, prompts=["pqx"])
    assert len({asked.digests[0], moved.digests[0], text_queries(["a"], ["pqxyz"], 4).digests[0]}) == 3
    assert text_queries(["a"], ["xyz"], 4, prompts=[""]).sha256 == text_queries(["a"], ["xyz"], 4).sha256


def test_rows_of_a_prompt_alone_are_left_out_and_a_query_that_predicts_nothing_is_refused() -> None:
    long = text_queries(["a"], ["z"], 4, prompts=["p" * 30])
    assert long.rows["target"].sum() == 1 and len(long.rows["tokens"]) == 1
    assert "Query 'b': nothing of its text is measured" in refusal(
        lambda: text_queries(["a", "b"], ["xx", "x"], 4)
    )


def test_tokens_of_a_tokenizer_are_rows_of_32_bits(tmp_path: Path) -> None:
    words = [f"word{number}" for number in range(30_000)]
    folder = save_words(tmp_path / "words", words)
    table = text_queries(["a"], [" ".join(words[-3:])], 4, prompts=[f"{words[0]} "], tokenizer=folder)
    assert (table.rows["tokens"] - FIRST_WORD).tolist() == [[0, 29_997, 29_998, 29_999]]
    assert table.rows["target"].tolist() == [[False, True, True, True]]
