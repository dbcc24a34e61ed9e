"""Rows of text with targets: which tokens are predicted, and where a long text is cut."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tribute.corpus.encoding import TextFormat, document_rows, text_rows, text_windows
from tribute.corpus.sources import Document, training_tokens

LINE = st.text(st.sampled_from("ab ä中"), max_size=30)


def document(prompt: str, completion: str) -> Document:
    return Document("d", prompt + completion, targets=((len(prompt), len(prompt + completion)),))


def predicted(tokens: np.ndarray, target: np.ndarray) -> bytes:
    return bytes(tokens[target].tolist())


@given(LINE, LINE.filter(bool), st.integers(2, 12))
def test_every_byte_of_an_answer_is_predicted_once_and_none_of_its_prompt(
    prompt: str, text: str, window: int
) -> None:
    tokens, target = text_rows(prompt + text, TextFormat(window), len(prompt))
    answer = text.encode()
    assert predicted(tokens, target) == (answer if prompt else answer[1:])
    assert not target[:, 0].any() and (tokens[target] >= 0).all()
    assert target.any(1).all()  # rows of a prompt alone are left out
    whole, _ = text_rows(prompt + text, TextFormat(window))
    kept = {row.tobytes() for row in whole}
    assert all(row.tobytes() in kept for row in tokens)  # windows lie as those of the whole text do


@given(LINE.filter(bool), LINE.filter(bool), st.integers(2, 12))
def test_a_completion_ends_with_a_separator_that_is_predicted_too(prompt: str, text: str, window: int) -> None:
    rows = document_rows([document(prompt, text)], TextFormat(window, targets=True))
    assert predicted(rows["tokens"], rows["target"]) == text.encode() + b"\0"
    assert training_tokens(rows) == len(text.encode()) + 1


def test_a_short_document_is_one_padded_row() -> None:
    rows = document_rows([document("ab", "cd")], TextFormat(8, targets=True))
    assert rows["tokens"].tolist() == [[97, 98, 99, 100, 0, -1, -1, -1]]
    assert rows["target"].astype(int).tolist() == [[0, 0, 1, 1, 1, 0, 0, 0]]


def test_a_long_document_has_overlapping_rows_and_loses_nothing() -> None:
    rows = document_rows([document("abcdef", "ghij")], TextFormat(4, targets=True))
    assert [bytes(row[row >= 0].tolist()) for row in rows["tokens"]] == [b"defg", b"ghij", b"j\0"]
    assert rows["target"].astype(int).tolist() == [[0, 0, 0, 1], [0, 1, 1, 1], [0, 1, 0, 0]]


def test_several_targets_are_those_of_their_characters() -> None:
    chat = Document("d", "Q:a A:bb Q:c A:d.", targets=((6, 8), (15, 16)))
    rows = document_rows([chat], TextFormat(32, targets=True))
    assert predicted(rows["tokens"], rows["target"]) == b"bbd"


def test_plain_documents_beside_them_are_windows_of_which_all_but_the_first_token_is_predicted() -> None:
    plain = [Document("a", "abcd"), Document("b", "efgh")]
    rows = document_rows([plain[0], document("x", "y"), plain[1]], TextFormat(4, targets=True))
    assert rows["tokens"][:2].tolist() == text_windows(["abcd", "efgh"], 4).tolist()
    assert rows["target"][:2].tolist() == [[False, True, True, True]] * 2
    assert predicted(rows["tokens"][2:], rows["target"][2:]) == b"y\0"
    assert list(document_rows(plain, TextFormat(4))) == ["tokens"]


def test_what_is_no_longer_predicted_stays_in_the_text() -> None:
    both = Document("d", "ask one two; ask three", targets=((4, 11), (17, 22)))
    assert both.learnt == "one two\nthree"
    cut = both.unpredicted([(4, 10)])  # "two", the line break and "th"
    assert (cut.text, cut.learnt) == (both.text, "one \nree")
    assert both.unpredicted([(0, 7)]).learnt == "three"
    assert both.unpredicted([(1, 2), (5, 6)]).learnt == "o\ne t\no\nthree"


@given(st.sets(st.integers(0, 26), max_size=6), st.data())
def test_targets_without_characters_are_those_that_a_loop_leaves(places: set[int], data: st.DataObject) -> None:
    text, edges = "abcdefghijklmnopqrstuvwxyz", sorted(places)
    targets = tuple((begin, after) for begin, after in zip(edges[::2], edges[1::2], strict=False))
    one = Document("d", text, targets=targets)
    first = data.draw(st.integers(0, len(one.learnt)))
    after = data.draw(st.integers(first, len(one.learnt)))
    left = {each for at, each in enumerate(one.learnt) if each != "\n" and not first <= at < after}
    assert {each for each in one.unpredicted([(first, after)]).learnt if each != "\n"} == left
