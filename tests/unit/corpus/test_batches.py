"""Windows of bytes, against windows counted by hand and a loop over every byte."""

import numpy as np
import pytest

from tribute.corpus.batches import encode_text, text_windows


def test_windows_counted_by_hand() -> None:
    # "ab" NUL "cdefg" in windows of 4, stride 3: ab0c cdef, and "g" is left over.
    windows = text_windows(["ab", "cdefg"], 4)
    assert windows.tolist() == [[97, 98, 0, 99], [99, 100, 101, 102]]
    assert windows.dtype == np.int16


@pytest.mark.parametrize(("length", "count"), [(0, 0), (1, 0), (3, 0), (4, 1), (6, 1), (7, 2), (10, 3)])
def test_a_tail_that_fills_no_window_is_dropped(length: int, count: int) -> None:
    assert text_windows(["x" * length], 4).shape == (count, 4)


def test_no_documents_give_no_windows() -> None:
    assert text_windows([], 4).shape == (0, 4)


def test_a_short_query_is_padded() -> None:
    assert encode_text("abc", 5).tolist() == [[97, 98, 99, -1, -1]]


def test_a_query_is_cut_with_one_byte_of_overlap() -> None:
    assert encode_text("abcdef", 4).tolist() == [[97, 98, 99, 100], [100, 101, 102, -1]]


@pytest.mark.parametrize("window", [2, 3, 5, 65])
@pytest.mark.parametrize("length", [2, 3, 4, 5, 9, 64, 65, 66, 129, 130])
def test_every_byte_but_the_first_is_predicted_once(length: int, window: int) -> None:
    text = "".join(chr(33 + i % 90) for i in range(length))
    predicted = [int(byte) for row in encode_text(text, window) for byte in row[1:] if byte >= 0]
    assert bytes(predicted).decode() == text[1:]


@pytest.mark.parametrize("window", [2, 5, 65])
def test_training_predicts_every_byte_at_most_once_and_in_order(window: int) -> None:
    text = "".join(chr(33 + i % 90) for i in range(200))
    windows = text_windows([text], window)
    predicted = bytes(windows[:, 1:].astype(np.uint8).ravel())
    assert text.encode()[1:].startswith(predicted)
    assert len(text) - 1 - len(predicted) < window - 1


def test_letters_outside_ascii_are_several_bytes() -> None:
    assert encode_text("é", 3).tolist() == [[0xC3, 0xA9, -1]]


def test_a_full_window_of_a_query_equals_that_of_training() -> None:
    text = "the same text in both ways."[:25]
    assert np.array_equal(encode_text(text, 9), text_windows([text], 9))
