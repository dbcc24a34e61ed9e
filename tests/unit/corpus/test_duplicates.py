"""Duplicates against brute-force Jaccard similarity."""

import random

from tests.unit.corpus.small import sentence
from tribute.corpus.duplicates import drop_duplicates, shingles
from tribute.corpus.sources import Document

WORDS = [f"word{number}" for number in range(200)]


def text(seed: int, length: int = 120) -> str:
    rng = random.Random(seed)
    return " ".join(rng.choice(WORDS) for _ in range(length))


def edited(original: str, changes: int) -> str:
    words = original.split()
    for place in range(changes):
        words[place * 7] = "changed"
    return " ".join(words)


def jaccard(one: str, other: str) -> float:
    a, b = shingles(one.split()), shingles(other.split())
    return len(a & b) / len(a | b)


def test_exact_copies_go_to_the_first_source_whatever_their_white_space() -> None:
    original = text(0)
    kept, dropped = drop_duplicates(
        {
            "b": [Document("1", original.replace(" ", "\n  "))],
            "a": [Document("1", original), Document("2", text(1))],
        }
    )
    assert [d.document_id for d in kept["a"]] == ["1", "2"]
    assert (kept["b"], dropped) == ([], 1)


def test_near_copies_are_found_and_merely_related_texts_are_kept() -> None:
    original = text(0)
    near, far = edited(original, 1), edited(original, 12)
    assert jaccard(original, near) > 0.9
    assert jaccard(original, far) < 0.5
    kept, dropped = drop_duplicates(
        {"a": [Document("1", original)], "b": [Document("1", near), Document("2", far)]}
    )
    assert [d.document_id for d in kept["b"]] == ["2"]
    assert dropped == 1


def test_unrelated_texts_are_all_kept() -> None:
    documents = {f"s{number}": [Document("1", text(number))] for number in range(40)}
    kept, dropped = drop_duplicates(documents)
    assert dropped == 0
    assert kept == documents


def test_short_texts_are_duplicates_only_if_they_are_equal() -> None:
    kept, dropped = drop_duplicates(
        {"a": [Document("1", "one two"), Document("2", "one two"), Document("3", "two")]}
    )
    assert ([d.document_id for d in kept["a"]], dropped) == (["1", "3"], 1)


def test_the_index_finds_nearly_all_pairs_well_above_the_limit() -> None:
    dropped = 0
    for seed in range(50):
        words = sentence(seed, words=400).split()
        copy = [f"new{i}" if i in (50, 150, 250, 350) else word for i, word in enumerate(words)]
        assert 0.88 < len(shingles(words) & shingles(copy)) / len(shingles(words) | shingles(copy)) < 0.92
        pair = {"a": [Document("1", " ".join(words))], "b": [Document("1", " ".join(copy))]}
        dropped += drop_duplicates(pair)[1]
    assert dropped >= 48
