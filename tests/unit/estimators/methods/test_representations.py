"""Similarities of hidden states against a loop over examples and positions."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.func import functional_call

from tests.unit.estimators.small import (
    additive,
    influences,
    small_queries,
    small_training,
    sources,
    text_queries,
    text_training,
)
from tribute.errors import ConfigError
from tribute.estimators import Trained, build_estimator, most_influential

KINDS = ["centred", "cosine", "dot"]


def similarity(one: Tensor, other: Tensor, kind: str) -> Tensor:
    return one @ other / (1 if kind == "dot" else one.norm() * other.norm())


def table(asked: list[Tensor], known: list[Tensor], kind: str) -> Tensor:
    mean = sum(known) / len(known) if kind == "centred" else torch.zeros(())
    return torch.stack([torch.stack([similarity(q - mean, z - mean, kind) for z in known]) for q in asked])


def perceptron(trained: Trained, kind: str) -> Tensor:
    """Similarities of the hidden layer, [Q, N]; the second query has two rows."""
    weight, bias, *_ = trained.task.pieces(trained.theta_P).values()
    queries = small_queries()

    def hidden(features: np.ndarray) -> Tensor:
        return torch.nn.functional.gelu(torch.from_numpy(features) @ weight.T + bias)

    asked = [hidden(queries.columns["features"][queries.query_N == query]).mean(0) for query in range(3)]
    return table(asked, [*hidden(trained.data.columns["features"])], kind)


def states(trained: Trained, rows: np.ndarray) -> Tensor:
    """Hidden states after the last norm at the positions whose next token is no padding, one after another."""
    found, kept = [], []
    hook = trained.task.measured.norm.register_forward_hook(lambda *seen: kept.append(seen[-1]))
    for row in rows:
        text = torch.from_numpy(row[row >= 0]).long()
        functional_call(trained.task.measured, trained.task.pieces(trained.theta_P), (text[None, :-1],))
        found += [*kept.pop()[0]]
    hook.remove()
    return torch.stack(found)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rows", [3, 256])
def test_a_perceptron_has_the_similarities_of_its_hidden_layer(kind: str, rows: int, tmp_path: Path) -> None:
    trained = small_training(tmp_path)
    estimator = build_estimator("representations", {"similarity": kind, "rows": rows})
    expected = perceptron(trained, kind)
    found = influences(estimator, trained, sources(trained), small_queries())
    torch.testing.assert_close(found, additive(trained, expected), rtol=1e-10, atol=1e-12)
    best = most_influential(estimator, trained, estimator.fit(trained), small_queries(), 1, 4)
    own = expected[:, trained.data.source_N == 1].numpy()
    np.testing.assert_allclose(best.influence_Qk, -np.sort(-own, axis=1)[:, :4], rtol=1e-10)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("kind", KINDS)
def test_a_transformer_has_the_mean_state_of_predicted_positions(kind: str, tmp_path: Path) -> None:
    trained, queries = text_training(tmp_path), text_queries()
    windows, asked_rows = trained.data.columns["tokens"], queries.columns["tokens"]
    asked = [states(trained, asked_rows[queries.query_N == query]).mean(0) for query in range(3)]
    known = [states(trained, windows[[n]]).mean(0) for n in range(len(windows))]
    found = influences(
        build_estimator("representations", {"similarity": kind}), trained, sources(trained), queries
    )
    torch.testing.assert_close(found, additive(trained, table(asked, known, kind)), rtol=1e-10, atol=1e-12)


def test_a_query_without_a_prediction_has_no_influence(tmp_path: Path) -> None:
    trained, queries = text_training(tmp_path), text_queries()
    queries.columns["tokens"][3, 1:] = -1
    found = influences(build_estimator("representations", {}), trained, sources(trained), queries)
    assert found[:2].all() and not found[2].any()


@pytest.mark.parametrize("options", [{"similarity": "euclidean"}, {"rows": 0}])
def test_invalid_options_are_refused(options: dict) -> None:
    with pytest.raises(ConfigError, match="Set similarity to one of centred, cosine, dot, and rows to at least 1"):
        build_estimator("representations", options)
