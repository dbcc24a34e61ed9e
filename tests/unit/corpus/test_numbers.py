"""Integers keep their values in whatever type they come, from the reader to the model; or they are refused."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays, integer_dtypes, unsigned_integer_dtypes

from tribute.corpus import array_queries
from tribute.corpus.numbers import kept, numbers, single
from tribute.errors import CorpusError
from tribute.study.examples import query_table, training_set

ANY_INTEGERS = st.one_of(integer_dtypes(endianness="?"), unsigned_integer_dtypes(endianness="?"))


@given(ANY_INTEGERS.flatmap(lambda dtype: arrays(dtype, (4, 3))))
def test_integers_of_every_type_reach_pytorch_unchanged_or_are_refused(values: np.ndarray) -> None:
    try:
        found = torch.from_numpy(kept(values, "ids"))
    except CorpusError as error:
        assert int(values.max()) >= 2**63
        assert str(int(values.max())) in str(error)
    else:
        assert found.long().tolist() == values.tolist()
        assert torch.cat([found, found]).max().item() == values.max()


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=8))
def test_ids_of_sources_and_queries_are_what_they_were(ids: list[int]) -> None:
    first = np.array(ids)
    data = training_set({"a": {"tokens": first[:, None]}, "b": {"tokens": np.full((2, 1), 7, np.uint16)}})
    batch, _ = data.batch(np.arange(len(ids)), torch.device("cpu"))
    assert batch["tokens"][:, 0].tolist() == ids
    queries = query_table({"tokens": np.full((1, 1), 65_535, np.uint16)}, data, None, None)
    assert queries.rows["tokens"].tolist() == [[65_535]]


@pytest.mark.parametrize("dtype", [np.uint16, np.uint32, np.uint64, np.int32, np.int64, ">i4", ">u2"])
def test_token_ids_of_a_large_vocabulary_are_kept(dtype: type) -> None:
    tokens = np.array([[32_767, 32_768, 50_256, 65_535]], dtype)
    data = training_set({"a": {"tokens": tokens}, "b": {"tokens": tokens[:, ::-1].copy()}})
    assert data.columns["tokens"].tolist() == [[32_767, 32_768, 50_256, 65_535], [65_535, 50_256, 32_768, 32_767]]
    assert torch.from_numpy(data.columns["tokens"]).long().min() == 32_767


@given(arrays(np.int64, 5))
def test_whole_numbers_survive_single_precision_or_are_refused(values: np.ndarray) -> None:
    try:
        found = single(values, "column features")
    except CorpusError as error:
        assert any(int(np.float32(each)) != each for each in values.tolist())
        assert "column features holds the whole number" in str(error)
    else:
        assert [int(each) for each in found] == values.tolist()


@pytest.mark.parametrize("values", [[[2**24 + 1]], [[2**53 + 1]], [[float(2**24 + 1)]], [[2**63 + 1]]])
def test_ids_in_a_feature_column_are_refused_where_they_would_change(values: list) -> None:
    with pytest.raises(CorpusError, match=f"whole number {int(values[0][0])}, which single precision would"):
        array_queries(["q"], values, [0])


def test_ids_in_a_float_column_of_a_study_are_refused_where_they_would_change() -> None:
    with pytest.raises(CorpusError, match="'x' of source 'a' holds the whole number 16777217, which single"):
        training_set({"a": {"x": np.array([2.0**24 + 1])}, "b": {"x": np.zeros(1)}})


def test_fractions_are_rounded_and_what_overflows_is_infinite() -> None:
    assert single(np.array([2.0**24 + 1, 0.5]), "x").tolist() == [2.0**24, 0.5]
    assert np.isinf(single(np.array([1e300]), "x")).all()
    assert numbers([[1, None]]).tolist()[0][0] == 1.0


def test_integers_and_floats_do_not_mix() -> None:
    whole, real = {"x": np.array([2**40 + 1])}, {"x": np.array([0.5])}
    with pytest.raises(CorpusError, match=r"is int64 in source 'a' and float32 in source 'b'|Give both integers"):
        training_set({"a": whole, "b": real})
    data = training_set({"a": whole, "b": whole})
    with pytest.raises(CorpusError, match="is float32 in the queries and int64 in the examples"):
        query_table(real, data, None, None)
