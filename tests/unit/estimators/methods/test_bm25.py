"""BM25 against a loop over terms, words of bytes, and what is no text."""

import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.unit.estimators.small import influences, small_queries, small_training, sources, text_training
from tribute.config import TaskSettings, TrainingSettings
from tribute.errors import ConfigError
from tribute.estimators import Estimator, Trained, build_estimator, most_influential
from tribute.readout import QueryRows
from tribute.training import Recipe, TrainingSet, record

TEXTS = {
    "ink": ["The hare, the HARE: 42!", "a hare's café and the ink", "--- ... ---"],
    "jazz": ["Der Hase blies café-Jazz", "jazz jazz jazz jazz jazz jazz", "the the the 42 42", "ink and jazz"],
}
ASKED = ["the jazz hare; THE hare", "nowhere", "café 42"]
OF_ROW = [0, 1, 0]
WINDOW = 31


def rows(texts: list[str]) -> np.ndarray:
    """Texts as bytes, padded."""
    found = np.full((len(texts), WINDOW), -1, dtype=np.int16)
    for row, text in zip(found, texts, strict=True):
        row[: len(text.encode())] = [*text.encode()]
    return found


def text_of(row: np.ndarray) -> str:
    return bytes(row[row >= 0].tolist()).decode()


def recorded(folder: Path, by_source: dict[str, np.ndarray], vocabulary: int = 256) -> Trained:
    """A training that BM25 ignores."""
    options = {"context": by_source["ink"].shape[1] - 1, "width": 4, "heads": 2, "layers": 1}
    task = TaskSettings(name="byte_lm", options=options | {"vocabulary": vocabulary})
    data = TrainingSet.assemble({name: {"tokens": tokens} for name, tokens in by_source.items()})
    recipe = Recipe(task, TrainingSettings(batch_size=2, epochs=0.4), data, 0)
    return Trained(recipe, record(recipe, folder), recipe.steps)


def naive(texts: list[list], query: list, k1: float, b: float) -> list[float]:
    """BM25 of a query for each text, term by term."""
    mean, found = sum(map(len, texts)) / len(texts), []
    for text in texts:
        total = 0.0
        for term in query:
            having = sum(term in other for other in texts)
            rarity = math.log(1 + (len(texts) - having + 0.5) / (having + 0.5))
            tf = text.count(term)
            total += rarity * tf * (k1 + 1) / (tf + k1 * (1 - b + b * len(text) / mean)) if tf else 0.0
        found.append(total)
    return found


def expected(texts: list[list], asked: list[list], k1: float, b: float) -> torch.Tensor:
    """BM25 of each query for each text, the rows of a query added up, [Q, N]."""
    found = torch.zeros(2, len(texts))
    for query, terms in zip(OF_ROW, asked, strict=True):
        found[query] += torch.tensor(naive(texts, terms, k1, b))
    return found


def by_source(found: torch.Tensor, trained: Trained) -> torch.Tensor:
    return torch.stack([found[:, trained.data.source_N == source].sum(1) for source in range(2)], 1)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(("k1", "b"), [(1.2, 0.75), (0.0, 0.3), (2.0, 0.0), (0.7, 1.0)])
def test_words_of_bytes_are_those_of_a_loop(k1: float, b: float, tmp_path: Path) -> None:
    trained = recorded(tmp_path, {name: rows(texts) for name, texts in TEXTS.items()})
    words = [re.findall(r"\w+", text.lower()) for text in map(text_of, trained.data.columns["tokens"])]
    asked = [re.findall(r"\w+", text.lower()) for text in ASKED]
    queries = QueryRows(("q", "r"), {"tokens": rows([ASKED[0], ASKED[2], ASKED[1]])}, np.array([0, 0, 1]))
    estimator, whole = build_estimator("bm25", {"k1": k1, "b": b}), expected(words, asked, k1, b)
    assert whole[0].count_nonzero() == 6 and not whole[1].any()
    found = influences(estimator, trained, sources(trained), queries)
    torch.testing.assert_close(found, by_source(whole, trained), rtol=1e-12, atol=0)
    best = most_influential(estimator, trained, estimator.fit(trained), queries, 1, 4)
    np.testing.assert_allclose(best.influence_Qk[0], -np.sort(-whole[0, 3:].numpy()), rtol=1e-12)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(("largest", "terms"), [(300, "auto"), (9, "tokens")])
def test_tokens_of_a_tokenizer_are_those_of_a_loop(largest: int, terms: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    tokens = np.where(rng.random((10, 9)) < 0.8, rng.integers(0, 7, (10, 9)), largest).astype(np.int32)
    tokens[3, 4:] = -1
    trained = recorded(tmp_path, {"ink": tokens[:4], "jazz": tokens[4:7]}, largest + 1)
    texts, asked = ([[t for t in row if t >= 0] for row in part.tolist()] for part in (tokens[:7], tokens[7:]))
    queries = QueryRows(("q", "r"), {"tokens": tokens[[7, 9, 8]]}, np.array([0, 0, 1]))
    found = influences(build_estimator("bm25", {"terms": terms}), trained, sources(trained), queries)
    torch.testing.assert_close(found, by_source(expected(texts, asked, 1.2, 0.75), trained), rtol=1e-12, atol=0)


def test_texts_without_a_term_share_nothing(tmp_path: Path) -> None:
    trained = recorded(tmp_path, {"ink": rows(["...", " "]), "jazz": rows(["--", ""])})
    queries = QueryRows(("q", "r"), {"tokens": rows(ASKED)}, np.array(OF_ROW))
    found = influences(build_estimator("bm25", {}), trained, sources(trained), queries)
    assert torch.equal(found, torch.zeros(2, 2))


def refusal(estimator: Estimator, trained: Trained, queries: QueryRows | None = None) -> str:
    with pytest.raises(ConfigError) as refused:
        if queries is None:
            estimator.fit(trained)
        else:
            influences(estimator, trained, sources(trained), queries)
    return str(refused.value)


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    bm25 = build_estimator("bm25", {})
    images, texts = small_training(tmp_path / "images"), text_training(tmp_path / "texts")
    assert "the training set has features, labels. Use nearest, or patches for images" in refusal(bm25, images)
    assert "the queries have features, labels" in refusal(bm25, texts, small_queries())
    large = recorded(tmp_path / "large", {"ink": np.full((2, 5), 256), "jazz": np.full((2, 5), 3)}, 257)
    assert "token 256 is no byte. Set terms to tokens" in refusal(
        build_estimator("bm25", {"terms": "words"}), large
    )


@pytest.mark.parametrize("options", [{"k1": -1.0}, {"b": 1.5}, {"terms": "letters"}])
def test_invalid_options_are_refused(options: dict) -> None:
    with pytest.raises(ConfigError, match="Set k1 to at least 0, b from 0 to 1, and terms to one of auto, words"):
        build_estimator("bm25", options)
