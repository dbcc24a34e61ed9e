"""Queries unlike the corpus are flagged; its own held-out text almost never is."""

import base64

import numpy as np
import pytest

from tribute.config import InstalledDocsSettings
from tribute.corpus import OutOfDistribution, OutOfDistributionDetector, array_queries, read_corpus, text_queries
from tribute.corpus.out_of_distribution import MIN_HELD_OUT_ROWS, ROWS_AT_ONCE

WINDOW = 65


def digits(count: int, seed: int) -> np.ndarray:
    """Points around ten centres."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(size=(10, 40))
    return (centres[rng.integers(10, size=count)] + 0.3 * rng.normal(size=(count, 40))).astype(np.float32)


@pytest.fixture(scope="module")
def docs() -> tuple[dict, dict]:
    sources = read_corpus(InstalledDocsSettings(kind="installed_docs", sources=4, max_bytes=100_000)).sources
    joined = [
        {"tokens": np.concatenate([getattr(each, part)["tokens"] for each in sources])}
        for part in ("train", "held_out")
    ]
    return joined[0], joined[1]


def distribution(known: OutOfDistributionDetector, texts: list[str]) -> OutOfDistribution:
    return known.assess(text_queries([f"q{i}" for i in range(len(texts))], texts, WINDOW))


def rows(known: OutOfDistributionDetector, columns: dict) -> np.ndarray:
    """Whether each row alone would be unlike the corpus."""
    return known.similarity(columns) < known.thresholds[0]


def test_text_of_the_corpus_is_familiar_and_foreign_text_is_not(docs) -> None:
    train, held_out = docs
    known = OutOfDistributionDetector.of(train, held_out)
    assert not rows(known, train).any()
    assert rows(known, held_out).sum() <= 0.01 * len(held_out["tokens"]) + 1
    noise = base64.b64encode(np.random.default_rng(0).bytes(6000)).decode()
    german = "Die Vergütung der Verlage richtet sich danach, was ihre Texte den Antworten genützt haben. " * 5
    english = "Return a new array of given shape and type, filled with ones, as the other functions do. " * 5
    assert distribution(known, [noise[:65], noise, german, english]).is_ood_Q.tolist() == [True, True, True, False]


def test_features_near_the_training_data_are_familiar() -> None:
    known = OutOfDistributionDetector.of({"features": digits(2000, 1)}, {"features": digits(2000, 2)})
    assert 0.001 < rows(known, {"features": digits(2000, 3)}).mean() < 0.03
    noise = np.random.default_rng(4).normal(size=(200, 40)).astype(np.float32)
    assert rows(known, {"features": noise}).mean() > 0.95


def test_a_corpus_that_holds_nothing_out_is_compared_with_a_tenth_of_itself() -> None:
    train = {"features": digits(1000, 1)}
    known = OutOfDistributionDetector.of(train, {"features": train["features"][: MIN_HELD_OUT_ROWS - 1]})
    assert known.seen is not None and len(known.seen) == 900
    assert 0.5 < known.thresholds[0] < 1


def test_blocks_change_nothing() -> None:
    tokens = np.random.default_rng(0).integers(0, 256, size=(ROWS_AT_ONCE + 100, 9)).astype(np.int16)
    known = OutOfDistributionDetector.of({"tokens": tokens[:500]}, {"tokens": tokens[400:600]})
    found = known.similarity({"tokens": tokens})
    np.testing.assert_array_equal(found[ROWS_AT_ONCE:], known.similarity({"tokens": tokens[ROWS_AT_ONCE:]}))
    assert (found[:500] == 1).all() and found[600:].mean() < 0.2


def test_a_query_is_as_similar_as_its_rows_and_longer_ones_are_judged_more_sharply(docs) -> None:
    known = OutOfDistributionDetector.of(*docs)
    queries = text_queries(["short", "long"], ["Return a new array", "Return a new array " * 20], WINDOW)
    each = known.similarity(queries.rows)
    np.testing.assert_allclose(known.assess(queries).similarity_Q, [each[0], each[1:].mean()])
    assert list(known.thresholds) == sorted(known.thresholds) and len(known.thresholds) > 2


def test_intervals_are_widened_by_how_unlike_a_query_is(docs) -> None:
    known = OutOfDistributionDetector.of(*docs)
    found = distribution(known, ["Return a new array", "\x01\x02\x03\x04\x05\x06\x07\x08" * 8])
    assert found.widening_Q[0] == 1
    assert found.widening_Q[1] == pytest.approx(1 / (1 - known.thresholds[0]), rel=0.05)


def test_columns_of_ones_own_are_not_judged() -> None:
    known = OutOfDistributionDetector.of({"sound": np.zeros((50, 3))}, {"sound": np.zeros((50, 3))})
    assert not known.assess(array_queries(["q"], [[1.0, 2.0]], [0])).is_ood_Q.any()


@pytest.mark.parametrize("count", range(2, 25))
@pytest.mark.parametrize("held", [0, 1, 19])
def test_a_corpus_of_few_rows_judges_what_it_can(count: int, held: int) -> None:
    for name, values in (("features", digits(count, 1)), ("tokens", np.full((count, 9), 65, np.int16))):
        known = OutOfDistributionDetector.of({name: values}, {name: values[:held]})
        few = count < 10
        assert (known.seen is None) == few
        if name == "features":
            found = known.assess(array_queries(["q"], np.full((1, 40), 100.0), [0]))
            assert np.isfinite(found.widening_Q).all()
            assert not (few and found.is_ood_Q.any())


def test_tokens_of_a_tokenizer_are_compared_by_pairs() -> None:
    rng = np.random.default_rng(0)
    pairs = rng.integers(0, 50_000, (300, 2)).astype(np.int32)
    train, held_out = (
        {"tokens": pairs[rng.integers(0, 300, (count, 8))].reshape(count, 16)} for count in (400, 60)
    )
    known = OutOfDistributionDetector.of(train, held_out)
    same = {"tokens": pairs[rng.integers(0, 300, (5, 8))].reshape(5, 16)}
    other = {"tokens": rng.integers(0, 50_000, (5, 16)).astype(np.int32)}
    assert known.similarity(same).min() >= 8 / 15
    assert known.similarity(other).max() < 0.2 < min(known.thresholds)
    near = {"tokens": same["tokens"].copy()}
    near["tokens"][:, 0::2] += 1
    near["tokens"][:, 1::2] -= 257  # what a hash of bytes takes for the same
    assert known.similarity(near).max() < 0.2
