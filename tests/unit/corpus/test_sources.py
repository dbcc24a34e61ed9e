"""Hashes, token counts and windows of sources."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tribute.corpus.encoding import TextFormat, text_rows, text_windows
from tribute.corpus.sources import Columns, Corpus, Source, SourceExamples


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


def test_training_windows_overlap_by_one_byte_and_drop_the_tail() -> None:
    windows = text_windows(["abcd", "efgh"], 4)  # the stream is a b c d NUL e f g h
    assert [bytes(row.tolist()) for row in windows] == [b"abcd", b"d\0ef"]
    assert text_windows(["ab"], 4).shape == (0, 4)


def test_a_query_is_padded_in_its_last_row() -> None:
    rows, _ = text_rows("abcdefgh", TextFormat(4))
    assert rows.tolist() == [[97, 98, 99, 100], [100, 101, 102, 103], [103, 104, -1, -1]]


@given(st.text(min_size=2, max_size=60), st.integers(2, 20))
def test_every_byte_after_the_first_is_a_target_once(text: str, window: int) -> None:
    rows, _ = text_rows(text, TextFormat(window))
    targets = rows[:, 1:].reshape(-1)
    assert bytes(targets[targets >= 0].tolist()) == text.encode()[1:]
    assert (np.diff((targets >= 0).astype(int)) <= 0).all()
