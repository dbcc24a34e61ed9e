"""Padding does not count as content, and honest text does."""

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tribute.corpus.eligibility import eligible_parts, part_of_usual, repeats, usual_of_others
from tribute.corpus.sources import Document

PAGES = sorted((Path(__file__).parents[3] / "docs" / "explanation").glob("*.md"))


def documents(*texts: str) -> list[Document]:
    return [Document(f"{number:04d}", text) for number, text in enumerate(texts)]


@pytest.fixture(scope="module")
def market() -> dict[str, list[str]]:
    """Pages of the documentation, in four sources."""
    return {f"source-{n}": [page.read_text() for page in PAGES[n::4]] for n in range(4)}


def parts(market: dict[str, list[str]], padding: Sequence[str] = ()) -> np.ndarray:
    """What counts of the sources, compared with the others; the first is padded."""
    texts = market | {"source-0": [*market["source-0"], *padding]}
    found = eligible_parts({source_id: documents(*each) for source_id, each in texts.items()})
    return part_of_usual(np.array(list(found.values())))


def in_random_order(texts: Sequence[str], rng: random.Random) -> list[str]:
    return [" ".join(rng.sample(words := text.split(), len(words))) for text in texts]


def random_letters(texts: Sequence[str], rng: random.Random) -> list[str]:
    return [" ".join("".join(rng.choices("abcdefghij", k=6)) for _ in text.split()) for text in texts]


def with_changes(texts: Sequence[str], rng: random.Random) -> list[str]:
    """The first 300 words, again and again, each time with other words in every fifth place."""
    words, count = texts[0].split()[:300], sum(len(text.split()) for text in texts)
    changed = (
        " ".join(f"w{rng.randrange(10**6)}x" if n % 5 == 2 else word for n, word in enumerate(words))
        for _ in range(count // 300)
    )
    return list(changed)


def of_templates(texts: Sequence[str], rng: random.Random) -> list[str]:
    words = sorted({word for text in texts for word in text.split() if word.isalpha()})
    count = sum(len(text.split()) for text in texts) // 12
    return [
        f"Item {n} of group {n // 7} was changed on day {n % 31} by {rng.choice(words)}." for n in range(count)
    ]


def test_most_of_honest_text_counts(market: dict[str, list[str]]) -> None:
    assert (parts(market) > 0.9).all()


@pytest.mark.parametrize("pad", [in_random_order, random_letters, with_changes, of_templates])
def test_twice_as_much_padding_counts_for_little(pad, market: dict[str, list[str]]) -> None:
    padding = [text for seed in range(2) for text in pad(market["source-0"], random.Random(seed))]
    found = parts(market, padding)
    assert found[0] < 0.62  # of three times the text: less than twice of what it had
    assert (found[1:] > 0.9).all()


def test_as_much_text_that_is_new_counts_in_full(market: dict[str, list[str]]) -> None:
    more = market["source-1"]
    rest = {source_id: texts for source_id, texts in market.items() if source_id != "source-1"}
    assert (parts(rest, more) > 0.9).all()


def test_a_word_repeats_if_its_run_was_there_before_but_for_one_word() -> None:
    once = np.arange(6)
    changed = np.array([0, 1, 9, 3, 4, 5])
    assert repeats(np.concatenate([once, changed])).tolist() == [False] * 6 + [True] * 6
    twice_changed = np.array([0, 8, 9, 3, 4, 7])
    assert not repeats(np.concatenate([once, twice_changed])).any()
    assert not repeats(np.arange(3)).any()


def test_a_few_words_or_none_are_no_fault() -> None:
    assert eligible_parts({}) == {}
    assert eligible_parts({"none": [], "one": documents("word"), "few": documents("some words more")}) == {
        "none": 1.0,
        "one": 1.0,
        "few": 1.0,
    }


figures = st.lists(st.floats(0, 10), min_size=2, max_size=12)


@given(figures)
def test_what_is_usual_is_the_lower_quartile_of_the_others(figure: list[float]) -> None:
    found = usual_of_others(np.array(figure))
    for source, usual in enumerate(found):
        others = np.delete(figure, source)
        assert usual == pytest.approx(np.quantile(others, 0.25))


@given(figures, st.floats(0, 100))
def test_no_source_moves_its_own_measure(figure: list[float], other: float) -> None:
    changed = np.array([other, *figure[1:]])
    assert usual_of_others(changed)[0] == usual_of_others(np.array(figure))[0]
    assert ((part_of_usual(changed) >= 0) & (part_of_usual(changed) <= 1)).all()
