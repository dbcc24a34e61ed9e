"""Users' examples: every common form is accepted; every mistake is reported with its place and remedy."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from tests.unit.study.conftest import BY_SOURCE
from tribute.errors import CorpusError
from tribute.study.examples import query_table, token_counts, training_set

LONG = "a long id " * 60


@pytest.mark.parametrize(
    "by_source",
    [
        {LONG: BY_SOURCE["a"]},
        BY_SOURCE | {LONG: {"features": BY_SOURCE["a"]["features"]}},
        BY_SOURCE | {LONG: {name: values[:0] for name, values in BY_SOURCE["a"].items()}},
        BY_SOURCE | {LONG: BY_SOURCE["a"] | {"labels": [0.5] * len(BY_SOURCE["a"]["labels"])}},
    ],
    ids=["alone", "other columns", "empty", "another kind"],
)
def test_a_message_shows_little_of_a_long_id(by_source: dict) -> None:
    with pytest.raises(CorpusError) as refused:
        training_set(by_source)
    assert LONG[:30] in str(refused.value) and LONG[:100] not in str(refused.value)


class Dataset:
    """What of `datasets.Dataset` is looked at."""

    def __init__(self, columns: dict[str, list]) -> None:
        self._columns = columns

    @property
    def column_names(self) -> list[str]:
        return list(self._columns)

    def __getitem__(self, name: str) -> list:
        return self._columns[name]


@pytest.mark.parametrize(
    "convert",
    [
        lambda columns: {name: torch.from_numpy(values) for name, values in columns.items()},
        lambda columns: {name: values.tolist() for name, values in columns.items()},
        lambda columns: Dataset({name: values.tolist() for name, values in columns.items()}),
    ],
    ids=["tensors", "lists", "dataset"],
)
def test_every_form_gives_the_same_training_set(convert: Any) -> None:
    expected = training_set(BY_SOURCE)
    found = training_set({source: convert(columns) for source, columns in BY_SOURCE.items()})
    for name, values in expected.columns.items():
        np.testing.assert_array_equal(found.columns[name], values)
        assert found.columns[name].dtype == values.dtype


def test_a_data_frame_is_taken_by_column() -> None:
    frames = {source: pd.DataFrame({"x": [0.5, 1.0], "labels": [0, 1]}) for source in "ab"}
    assert training_set(frames).columns["x"].tolist() == [0.5, 1.0, 0.5, 1.0]


def test_short_floats_of_pytorch_are_read() -> None:
    halves = {source: {"x": torch.tensor([0.5, 1.0], dtype=torch.bfloat16)} for source in "ab"}
    found = training_set(halves).columns["x"]
    assert (found.tolist(), found.dtype) == ([0.5, 1.0, 0.5, 1.0], np.float32)


def spoiled(columns: dict[str, np.ndarray], **changes: Any) -> dict[str, Any]:
    """Three sources, one of which is spoiled."""
    return BY_SOURCE | {"b": columns | changes}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"features": np.full((32, 64), np.nan)},
            "Column 'features' of source 'b' holds NaN or infinity in row 0",
        ),
        ({"features": np.zeros((32, 5))}, r"shape \(5,\) in source 'b' and \(64,\) in source 'a'"),
        ({"labels": np.zeros(3, int)}, "columns of source 'b' have different lengths"),
        ({"extra": np.zeros(32)}, "Give column 'extra' to both or to neither"),
        ({"features": [[1.0], [1.0, 2.0]]}, "no array of numbers with one shape per row"),
        ({"labels": ["one"] * 32}, "no array of numbers"),
        ({"features": torch.zeros(32, 64, dtype=torch.complex64)}, "no array of numbers"),
        ({"features": torch.zeros(32, 64).to_sparse()}, "no array of numbers"),
        (
            {"features": np.ma.masked_less(np.arange(2048.0).reshape(32, 64), 5)},
            "Column 'features' of source 'b' has masked entries, which hold no value. Fill or drop them",
        ),
    ],
)
def test_what_is_wrong_is_told(columns: dict[str, np.ndarray], changes: dict[str, Any], message: str) -> None:
    with pytest.raises(CorpusError, match=message):
        training_set(spoiled(columns, **changes))


@pytest.mark.parametrize(
    ("by_source", "message"),
    [
        ([1, 2], "by_source is a list. Give a mapping"),
        ({"a": BY_SOURCE["a"]}, "holds 1 source"),
        (BY_SOURCE | {"d": {"features": np.zeros((0, 64)), "labels": np.zeros(0, int)}}, "Source 'd' is empty"),
        (BY_SOURCE | {"d\u202e": BY_SOURCE["a"]}, "A source id is 'd.*which holds U.202E"),
        (BY_SOURCE | {"e\u0301": BY_SOURCE["a"], "\u00e9": BY_SOURCE["a"]}, "the same in Unicode's form NFC"),
        (BY_SOURCE | {"d": np.zeros(3)}, "Source 'd' is a ndarray. Give columns by name"),
    ],
)
def test_what_is_no_corpus_is_refused(by_source: Any, message: str) -> None:
    with pytest.raises(CorpusError, match=message):
        training_set(by_source)


def test_tokens_are_examples_unless_told_or_there_is_a_column_of_them() -> None:
    text = {source: {"tokens": np.zeros((count, 5), np.int16)} for source, count in (("a", 2), ("b", 3))}
    assert token_counts(training_set(BY_SOURCE), None) == (32, 40, 24)
    assert token_counts(training_set(text), None) == (10, 15)
    assert token_counts(training_set(text), {"b": 7, "a": 1}) == (1, 7)


@pytest.mark.parametrize("tokens", [{"a": 1, "b": 2}, {"a": 1, "b": 2, "c": 0}, {"a": 1, "b": 2, "c": 2.5}])
def test_token_counts_that_cannot_be_are_refused(tokens: dict[str, Any]) -> None:
    with pytest.raises(CorpusError, match="tokens"):
        token_counts(training_set(BY_SOURCE), tokens)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"ids": ["x"]}, "ids has 1 entries for 32 queries"), ({"weights": [-1.0] * 32}, "at least 0")],
)
def test_ids_and_weights_fit_the_queries(options: dict[str, Any], message: str) -> None:
    given = {"ids": None, "weights": None} | options
    with pytest.raises(CorpusError, match=message):
        query_table(BY_SOURCE["a"], training_set(BY_SOURCE), **given)


def test_sources_may_have_any_id_and_look_alikes_are_warned_of() -> None:
    odd = {"../d": BY_SOURCE["a"], "[red]": BY_SOURCE["a"], "AC/DC": BY_SOURCE["a"]}
    assert {"../d", "[red]", "AC/DC"} <= {*training_set(BY_SOURCE | odd).source_ids}
    with pytest.warns(UserWarning, match="Sources 'AC/DC' and 'ac/dc' look alike"):
        training_set(BY_SOURCE | odd | {"ac/dc": BY_SOURCE["a"]})
