"""Hashes and token counts of sources."""

import hashlib

import numpy as np

from tribute.corpus.sources import Columns, Corpus, Source, SourceExamples, input_file


def source(source_id: str, train: Columns, held_out: Columns | None = None) -> SourceExamples:
    empty = {name: values[:0] for name, values in train.items()}
    return SourceExamples(Source(source_id, source_id, source_id), train, held_out or empty, ())


def tokens(*rows: list[int]) -> Columns:
    return {"tokens": np.array(rows, dtype=np.int16)}


def test_text_counts_bytes_and_arrays_count_examples() -> None:
    assert source("a", tokens([1, 2, 3], [3, 4, 5])).tokens == 6
    arrays = {"features": np.zeros((4, 9), np.float32), "labels": np.zeros(4, np.int64)}
    assert source("a", arrays).tokens == 4


def test_the_hash_sees_values_order_type_and_part() -> None:
    rows = tokens([1, 2], [3, 4])
    variants = [
        source("a", rows),
        source("a", tokens([1, 2], [3, 5])),
        source("a", tokens([3, 4], [1, 2])),
        source("a", tokens([1, 2, 3, 4])),
        source("a", {"tokens": rows["tokens"].astype(np.int32)}),
        source("a", tokens([1, 2]), tokens([3, 4])),
    ]
    assert len({each.sha256 for each in variants}) == len(variants)


def test_the_hash_does_not_depend_on_the_order_of_columns_or_on_memory_layout() -> None:
    features, labels = np.arange(6, dtype=np.float32).reshape(2, 3), np.array([0, 1])
    one = source("a", {"features": features, "labels": labels})
    other = source("a", {"labels": labels, "features": np.asfortranarray(features)})
    assert one.sha256 == other.sha256


def test_the_hash_of_a_corpus_sees_which_source_holds_what() -> None:
    one, two = tokens([1, 2]), tokens([3, 4])
    straight = Corpus((source("a", one), source("b", two)), ())
    swapped = Corpus((source("a", two), source("b", one)), ())
    assert straight.sha256 != swapped.sha256


def test_an_input_file_is_known_by_its_bytes() -> None:
    found = input_file("corpus.txt", b"abc")
    assert (found.bytes, found.sha256) == (3, hashlib.sha256(b"abc").hexdigest())
