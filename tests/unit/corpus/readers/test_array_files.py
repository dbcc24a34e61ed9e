"""Arrays from Parquet and IDX: values checked by hand; bad values are refused with file and row."""

import gzip
import math
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.corpus.small import idx_settings, refusal, write_idx
from tribute.config import ArraysCorpusSettings
from tribute.corpus.readers.array_files import hold_out, read_arrays, read_idx_corpus, read_idx_pair

PAIRS = pa.list_(pa.float64(), 2)
GOOD = {
    "source": pa.array(["b", "a", "b"]),
    "features": pa.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], PAIRS),
    "label": pa.array([0, 1, 2], pa.int8()),
}


def settings(folder: Path, **changes: pa.Array) -> ArraysCorpusSettings:
    pq.write_table(pa.table(GOOD | changes), folder / "c.parquet")
    return ArraysCorpusSettings(kind="arrays", path=folder / "c.parquet")


def test_parquet_rows_go_to_their_sources(tmp_path: Path) -> None:
    found = read_arrays(settings(tmp_path))
    assert found["b"]["features"].tolist() == [[1, 2], [5, 6]]
    assert found["b"]["labels"].tolist() == [0, 2]
    assert found["a"]["features"].tolist() == [[3, 4]]
    assert (found["a"]["features"].dtype, found["a"]["labels"].dtype) == (np.float32, np.int64)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, None])
def test_features_that_are_not_finite_are_told_by_row(tmp_path: Path, bad: float | None) -> None:
    features = pa.array([[1.0, 2.0], [3.0, bad], [5.0, 6.0]], PAIRS)
    told = refusal(lambda: read_arrays(settings(tmp_path, features=features)))
    assert told.startswith(f"{tmp_path / 'c.parquet'}, row 2: features hold NaN or infinity")


@pytest.mark.parametrize(
    "features",
    [
        pa.array([[1.0, 2.0], [3.0], [5.0, 6.0]]),
        pa.array([[1.0, 2.0], None, [5.0, 6.0]]),
        pa.array(["x", "y", "z"]),
        pa.array([1.0, 2.0, 3.0]),
        pa.array([["1", "2"], ["3", "4"], ["5", "6"]]),
        pa.array([[], [], []], pa.list_(pa.float64())),
        pa.array([[[1.0]], [[2.0]], [[3.0]]]),
    ],
)
def test_features_must_be_lists_of_one_length(tmp_path: Path, features: pa.Array) -> None:
    assert "all of one length" in refusal(lambda: read_arrays(settings(tmp_path, features=features)))


@pytest.mark.parametrize("label", [pa.array([0.5, 1.0, 2.0]), pa.array(list("xyz")), pa.array([0, None, 2])])
def test_labels_must_be_whole_numbers(tmp_path: Path, label: pa.Array) -> None:
    assert "labels must be whole numbers" in refusal(lambda: read_arrays(settings(tmp_path, label=label)))


@pytest.mark.parametrize("empty", [None, "", "  "])
def test_an_example_without_source_is_told_by_row(tmp_path: Path, empty: str | None) -> None:
    told = refusal(lambda: read_arrays(settings(tmp_path, source=pa.array(["b", empty, "a"]))))
    assert "row 2: the source is empty" in told


@pytest.mark.parametrize(
    "source",
    [
        pa.array([1.5, 2.5, 1.5]),
        pa.array([True, False, True]),
        pa.array([["a"], ["b"], ["a"]]),
        pa.array([{"x": "a"}, {"x": "b"}, {"x": "a"}]),
        pa.array([date(2026, 1, 5)] * 3),
    ],
)
def test_a_source_is_text_or_a_whole_number(tmp_path: Path, source: pa.Array) -> None:
    told = refusal(lambda: read_arrays(settings(tmp_path, source=source)))
    assert "row 1: the source is" in told and "Write the column as text" in told


def test_a_missing_column_lists_the_columns_there_are(tmp_path: Path) -> None:
    wrong = settings(tmp_path).model_copy(update={"label_column": "class"})
    told = refusal(lambda: read_arrays(wrong))
    assert "has no column class. It has: source, features, label" in told


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    missing = ArraysCorpusSettings(kind="arrays", path=tmp_path / "gone.parquet")
    assert "does not exist. Correct corpus.path" in refusal(lambda: read_arrays(missing))


def test_idx_pixels_become_features_from_0_to_1(tmp_path: Path) -> None:
    pixels = np.array([[[0, 255, 51]], [[102, 153, 204]]], dtype=np.uint8)
    images = write_idx(tmp_path / "i", pixels)
    features, labels = read_idx_pair(images, write_idx(tmp_path / "l", np.array([3, 9], np.uint8)))
    assert np.allclose(features, [[0, 1, 0.2], [0.4, 0.6, 0.8]], atol=1e-7)
    assert features.dtype == np.float32
    assert (labels.tolist(), labels.dtype) == ([3, 9], np.int64)


def test_packed_idx_is_the_same(tmp_path: Path) -> None:
    plain = idx_settings(tmp_path, list("aabbab"))
    packed = tmp_path / "images.gz"
    packed.write_bytes(gzip.compress(plain.images.read_bytes()))
    one, other = read_idx_pair(plain.images, plain.labels), read_idx_pair(packed, plain.labels)
    assert np.array_equal(one[0], other[0])


def test_the_assignment_says_whose_examples_are_and_how_many(tmp_path: Path) -> None:
    found = read_idx_corpus(idx_settings(tmp_path, ["b", "a", "b", "b"]))
    assert found["a"]["labels"].tolist() == [1]
    assert found["b"]["labels"].tolist() == [0, 2, 0]
    assert np.allclose(found["a"]["features"] * 255, [[6, 7, 8, 9, 10, 11]])


def test_more_lines_than_images_is_told(tmp_path: Path) -> None:
    told = refusal(lambda: read_idx_corpus(idx_settings(tmp_path, ["a", "b"] * 4)))
    assert "assigned.txt has 8 lines" in told
    assert "only 6 images" in told


def test_an_empty_line_of_the_assignment_is_told(tmp_path: Path) -> None:
    told = refusal(lambda: read_idx_corpus(idx_settings(tmp_path, ["a", "", "b"])))
    assert told.startswith(f"{tmp_path / 'assigned.txt'}, row 2: the source is empty")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"\0\0\x08\x01\0\0\0\x06\1\2", "is truncated: its header says [6], but it holds 2 bytes"),
        (b"\0\0\x0d\x01\0\0\0\0", "is not an IDX file of bytes"),
        (b"", "is not an IDX file of bytes"),
        (b"\0\0\x08\x01\0\0\0\x02\1\2", "holds 6 images"),
    ],
)
def test_bad_idx_files_are_told(tmp_path: Path, content: bytes, told: str) -> None:
    good = idx_settings(tmp_path, ["a", "b"])
    good.labels.write_bytes(content)
    message = refusal(lambda: read_idx_corpus(good))
    assert str(good.labels) in message
    assert told in message


def test_a_file_that_is_not_packed_is_told(tmp_path: Path) -> None:
    good = idx_settings(tmp_path, ["a", "b"])
    bad = tmp_path / "labels.gz"
    bad.write_bytes(b"junk")
    assert f"{bad} cannot be decompressed" in refusal(lambda: read_idx_pair(good.images, bad))


PARTS = st.floats(0.001, 0.999).map(lambda part: round(part, 3))


def held_rows(source_id: str, count: int, part: float) -> set[int]:
    """Positions that are held out; the others are the training rows, in order."""
    columns = {"features": np.arange(count, dtype=np.float32)[:, None], "labels": np.arange(count)}
    train, held = hold_out(source_id, columns, part)
    assert sorted([*train["labels"], *held["labels"]]) == list(range(count))
    assert list(train["labels"]) == sorted(train["labels"])
    assert np.array_equal(train["features"][:, 0], train["labels"])
    return set(held["labels"].tolist())


@given(st.integers(0, 300), PARTS)
def test_the_part_of_the_rows_that_was_asked_for_is_held_out(count: int, part: float) -> None:
    held = held_rows("a", count, part)
    assert abs(len(held) - part * count) < 1 or (count > 1 and len(held) == 1)
    assert bool(held) == (count > 1)
    assert 0 not in held


@given(st.integers(0, 120), st.integers(0, 120), PARTS, st.sampled_from("ab"))
def test_appended_rows_leave_all_others_where_they_are(count: int, more: int, part: float, source_id: str) -> None:
    before, after = held_rows(source_id, count, part), held_rows(source_id, count + more, part)
    assert {row for row in after if row < count} == before


def test_held_out_rows_have_no_rhythm_and_differ_between_sources() -> None:
    """Every tenth row of a file may be of one class, so that no fixed distance will do."""
    held = held_rows("a", 3000, 0.1)
    per_class = np.bincount([row % 10 for row in held], minlength=10)
    assert per_class.min() > 15 and per_class.max() < 50
    assert len(held & held_rows("b", 3000, 0.1)) < 60


@pytest.mark.parametrize("content", [b"\0\0\x08\x03\0\0", b"\0\0\x08\x01\0"])
def test_a_header_that_is_cut_off_is_told(tmp_path: Path, content: bytes) -> None:
    good = idx_settings(tmp_path, ["a", "b"])
    good.images.write_bytes(content)
    assert f"{good.images} is not an IDX file" in refusal(lambda: read_idx_corpus(good))


def test_swapped_and_empty_idx_files_are_told(tmp_path: Path) -> None:
    good = idx_settings(tmp_path, ["a", "b"])
    assert "swapped" in refusal(lambda: read_idx_pair(good.labels, good.images))
    images = write_idx(tmp_path / "i", np.zeros((0, 2, 2), np.uint8))
    labels = write_idx(tmp_path / "l", np.zeros(0, np.uint8))
    assert "empty" in refusal(lambda: read_idx_pair(images, labels))


def test_damaged_packed_files_are_told(tmp_path: Path) -> None:
    good = idx_settings(tmp_path, ["a", "b"])
    content = bytearray(gzip.compress(good.images.read_bytes()))
    content[10] = 0xFF
    bad = tmp_path / "images.gz"
    bad.write_bytes(content)
    assert f"{bad} cannot be decompressed" in refusal(lambda: read_idx_pair(bad, good.labels))


def test_an_assignment_that_is_not_utf8_is_told(tmp_path: Path) -> None:
    good = idx_settings(tmp_path, ["a", "b"])
    good.assignment.write_bytes(b"a\n\xff\n")
    assert f"{good.assignment}, line 2: byte 0xff is not UTF-8" in refusal(lambda: read_idx_corpus(good))


def test_sources_may_be_numbers_from_zero_on(tmp_path: Path) -> None:
    found = read_arrays(settings(tmp_path, source=pa.array([0, 1, 0])))
    assert found["0"]["labels"].tolist() == [0, 2]
