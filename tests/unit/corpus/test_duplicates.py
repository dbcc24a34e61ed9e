"""Duplicates, against the Jaccard overlap of all pairs of shingle sets."""

import time

import pytest

from tests.unit.corpus.small import sentence
from tribute.corpus.duplicates import drop_duplicates, shingles
from tribute.corpus.sources import Document


def jaccard(one: str, other: str) -> float:
    """The overlap that MinHash estimates, from the sets themselves."""
    a, b = shingles(one.split()), shingles(other.split())
    return len(a & b) / len(a | b)


def kept_ids(documents: dict[str, list[Document]]) -> list[str]:
    kept, _ = drop_duplicates(documents)
    return [f"{source_id}/{each.document_id}" for source_id in sorted(kept) for each in kept[source_id]]


def edited(text: str, every: int) -> str:
    """The text with each `every`-th word replaced."""
    return " ".join(f"new{i}" if i % every == 0 else word for i, word in enumerate(text.split(), 1))


def test_shingles_are_runs_of_five_words() -> None:
    assert shingles("a b c d e f".split()) == {"a b c d e", "b c d e f"}
    assert shingles("a b c d".split()) == set()


def test_the_first_source_by_id_keeps_an_exact_duplicate() -> None:
    text = sentence(1)
    documents = {"b": [Document("1", text)], "a": [Document("2", text), Document("1", sentence(2))]}
    kept, dropped = drop_duplicates(documents)
    assert {source_id: [d.document_id for d in left] for source_id, left in kept.items()} == {
        "a": ["1", "2"],
        "b": [],
    }
    assert dropped == 1


def test_the_order_of_the_input_does_not_matter() -> None:
    documents = {s: [Document(str(i), sentence(i)) for i in range(n)] for s, n in (("a", 3), ("b", 5), ("c", 4))}
    backwards = {source_id: list(reversed(documents[source_id])) for source_id in reversed(documents)}
    assert kept_ids(documents) == kept_ids(backwards) == ["a/0", "a/1", "a/2", "b/3", "b/4"]


def test_white_space_makes_no_difference() -> None:
    assert kept_ids({"a": [Document("1", "one  two\n")], "b": [Document("1", "one two")]}) == ["a/1"]


def test_short_texts_are_compared_exactly_only() -> None:
    short = {
        "a": [Document("1", "to be or not")],
        "b": [Document("1", "to be or so"), Document("2", "to be or not")],
    }
    assert kept_ids(short) == ["a/1", "b/1"]


@pytest.mark.parametrize(("every", "near"), [(150, True), (100, True), (20, False), (8, False)])
def test_near_duplicates_are_those_of_the_oracle(every: int, near: bool) -> None:
    # The estimate from 64 permutations errs by about .05, so the pairs stay clear of the limit of .8.
    for seed in range(20):
        original = sentence(seed, words=400)
        copy = edited(original, every)
        assert (jaccard(original, copy) > 0.9) == near == (jaccard(original, copy) > 0.7)
        left = kept_ids({"a": [Document("1", original)], "b": [Document("1", copy)]})
        assert left == (["a/1"] if near else ["a/1", "b/1"])


def test_a_mixed_collection_agrees_with_all_pairs() -> None:
    texts = [sentence(seed, words=300) for seed in range(30)]
    texts += [edited(text, 120) for text in texts[::3]] + [edited(text, 6) for text in texts[1::3]]
    expected: list[int] = []
    for number, text in enumerate(texts):
        if all(jaccard(text, texts[other]) < 0.8 for other in expected):
            expected.append(number)
    left = kept_ids({"s": [Document(f"{number:02d}", text) for number, text in enumerate(texts)]})
    assert left == [f"s/{number:02d}" for number in expected]
    assert len(expected) == 40


def test_thousands_of_documents_take_seconds() -> None:
    documents = {"s": [Document(f"{i:04d}", sentence(i, words=200)) for i in range(4000)]}
    started = time.process_time()
    _, dropped = drop_duplicates(documents)
    assert time.process_time() - started < 30
    assert dropped == 0
