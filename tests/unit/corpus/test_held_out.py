"""The held-out part: as many bytes as were asked for, whatever the documents, and none that training sees."""

import random

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.projects import article
from tests.unit.corpus.small import sentence
from tribute.corpus.crediting.normal_words import normal_words
from tribute.corpus.encoding import text_windows
from tribute.corpus.held_out import split_documents
from tribute.corpus.sources import Document


def size(documents: list[Document]) -> int:
    return sum(len(each.text.encode()) for each in documents)


def prose(seed: object, characters: int) -> str:
    return sentence(seed, words=characters // 4 + 2)[:characters].strip()


def made(sizes: list[int], seed: int = 0) -> list[Document]:
    return [Document(f"{number:05d}", prose(f"{seed}-{number}", each)) for number, each in enumerate(sizes)]


sizes = st.lists(
    st.one_of(st.integers(3, 400), st.integers(400, 6000), st.integers(6000, 40_000)), min_size=1, max_size=25
)
parts = st.sampled_from([0.02, 0.1, 0.25, 0.5, 0.8])


@settings(max_examples=150, deadline=None)
@given(sizes, parts, st.sampled_from([17, 65, 257]))
def test_about_what_was_asked_for_is_held_out(lengths: list[int], part: float, window: int) -> None:
    documents = made(lengths)
    train, held_out = split_documents(documents, part, window)
    share = size(held_out) / size(documents)
    assert share <= 2 * part
    assert train and size(train) + size(held_out) <= size(documents)
    if size(documents) * part > 3 * window and max(lengths) > 4 * window:
        assert share >= 0.4 * part
        assert len(text_windows([each.text for each in held_out], window))


@settings(max_examples=60, deadline=None)
@given(sizes, st.lists(st.integers(3, 20_000), max_size=6), parts)
def test_appended_documents_change_nothing(lengths: list[int], more: list[int], part: float) -> None:
    documents = made([*lengths, *more])
    before = split_documents(documents[: len(lengths)], part, 65)
    after = split_documents(documents, part, 65)
    for earlier, later in zip(before, after, strict=True):
        assert later[: len(earlier)] == earlier


def runs(texts: list[str]) -> set[tuple[str, ...]]:
    words = [normal_words(text) for text in texts]
    return {tuple(each[n : n + 5]) for each in words for n in range(len(each) - 4)}


@pytest.mark.parametrize("seed", range(8))
def test_no_run_of_words_stands_on_both_sides_of_a_cut(seed: int) -> None:
    """Texts of ten words repeat many runs by chance."""
    text = " ".join(article("daily", number, sentences=40) for number in range(seed * 20, seed * 20 + 20))
    train, held_out = split_documents([Document("only", text)], 0.1, 65)
    assert size(held_out) >= 0.03 * size(train)
    assert not runs([each.text for each in train]) & runs([each.text for each in held_out])


def test_a_text_that_only_repeats_itself_has_no_end_of_its_own() -> None:
    [document] = documents = [Document("only", "the same words again and again. " * 200)]
    assert split_documents(documents, 0.1, 65) == ([document], [])


def test_one_long_document_among_short_ones_is_cut() -> None:
    rng = random.Random(1)
    for trial in range(10):
        lengths = [20_000, 300, 300, 300]
        rng.shuffle(lengths)
        documents = made(lengths, trial)
        _, held_out = split_documents(documents, 0.1, 65)
        assert 0.06 <= size(held_out) / size(documents) <= 0.2


@pytest.mark.parametrize(
    ("between", "ends"),
    [("\n\n", "paragraph"), ("\n", "line"), (". ", "sentence"), (" ", "word"), ("。", "sentence")],
)
def test_the_cut_is_at_a_boundary(between: str, ends: str) -> None:
    pieces = [sentence(number, words=8) if between != "。" else chr(0x4E00 + number) * 12 for number in range(120)]
    text = between.join(pieces)
    [train], [held_out] = split_documents([Document("only", text)], 0.1, 33)
    assert held_out.document_id == "only (tail)"
    assert text.startswith(train.text) and text.endswith(held_out.text)
    if ends != "word":
        assert held_out.text.split(between)[0] in pieces
    assert held_out.text[:1] and text[len(text) - len(held_out.text) - 1] in " \n。"


def test_a_text_without_spaces_is_cut_between_characters() -> None:
    rng = random.Random(2)
    text = "".join(chr(0x4E00 + rng.randrange(900)) for _ in range(4000))
    [train], [held_out] = split_documents([Document("only", text)], 0.1, 65)
    assert train.text + held_out.text == text
    assert 0.09 <= size([held_out]) / len(text.encode()) <= 0.11


@given(st.integers(1, 60), parts)
def test_tiny_sources_never_give_more_than_twice(length: int, part: float) -> None:
    documents = made([length, length])
    assume(size(documents))
    train, held_out = split_documents(documents, part, 17)
    assert size(held_out) <= 2 * part * size(documents) and train


def test_nothing_is_held_out_where_nothing_is_asked_for() -> None:
    documents = made([500, 700])
    assert split_documents(documents, 0.0, 65) == (documents, [])
