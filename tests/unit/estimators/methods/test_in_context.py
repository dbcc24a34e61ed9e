"""In-context approximation against token-by-token probabilities, and the examples that are drawn."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.func import functional_call

from tests.unit.estimators.small import (
    additive,
    influences,
    small_training,
    sources,
    text_queries,
    text_training,
)
from tribute.errors import ConfigError
from tribute.estimators import Groups, Trained, build_estimator, most_influential


def log_likelihood(trained: Trained, prefix: list[int], text: list[int]) -> float:
    """log p of a text after a prefix, token by token."""
    pieces, total = trained.task.pieces(trained.theta_P), 0.0
    for at, token in enumerate(text):
        seen = torch.tensor([[*prefix, *text[:at]]])
        total += float(functional_call(trained.task.measured, pieces, (seen,))[0, -1].log_softmax(-1)[token])
    return total


def ends() -> list[list[int]]:
    """The last four tokens of each query; those of the second are of both its windows."""
    rows = text_queries().columns["tokens"].tolist()
    return [rows[0][-4:], [*rows[1][-2:], *rows[2][1:3]], rows[3][-4:]]


def naive(trained: Trained) -> Tensor:
    windows = trained.data.columns["tokens"][:, :4].tolist()
    alone = [log_likelihood(trained, [0], z) for z in windows]
    told = [[log_likelihood(trained, [*end, 0], z) for z in windows] for end in ends()]
    return torch.tensor(told) - torch.tensor(alone)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("rows", [2, 256])
def test_sources_are_the_sum_of_their_examples(rows: int, tmp_path: Path) -> None:
    trained = text_training(tmp_path, learning_rate=1.0)
    estimator = build_estimator("in_context", {"rows": rows})  # in parts, and at once
    found = influences(estimator, trained, sources(trained), text_queries())
    torch.testing.assert_close(found, additive(trained, naive(trained)), rtol=1e-8, atol=1e-10)


@pytest.mark.usefixtures("float64")
def test_the_most_influential_examples_of_a_source(tmp_path: Path) -> None:
    trained = text_training(tmp_path, learning_rate=1.0)
    found = most_influential(build_estimator("in_context", {}), trained, {}, text_queries(), 1, 2)
    expected = naive(trained).numpy()[:, 5:]
    np.testing.assert_array_equal(found.index_Qk, 5 + np.argsort(-expected, axis=1)[:, :2])


@pytest.mark.usefixtures("float64")
def test_drawn_examples_stand_for_all_without_bias(tmp_path: Path) -> None:
    trained = text_training(tmp_path, learning_rate=1.0)
    found = [
        influences(
            build_estimator("in_context", {"examples": 4, "seed": seed}), trained, sources(trained), text_queries()
        )
        for seed in range(20)
    ]
    expected, each = additive(trained, naive(trained)), naive(trained)[:, :5]
    # of five examples four are drawn: the sum is 5 / 4 of what is left when one is taken out
    possible = 1.25 * (each.sum(1, keepdim=True) - each)
    for one in found:
        assert float((possible - one[:, :1]).abs().amin(1).amax()) < 1e-9
        torch.testing.assert_close(one[:, 1], expected[:, 1], rtol=1e-8, atol=1e-10)
    assert len({tuple(one[:, 0].tolist()) for one in found}) == 5
    torch.testing.assert_close(possible.mean(1), expected[:, 0], rtol=1e-8, atol=1e-10)


def test_a_group_draws_the_same_with_others_and_alone(tmp_path: Path) -> None:
    trained, estimator = text_training(tmp_path), build_estimator("in_context", {"examples": 2})
    together = estimator.gather(trained, {}, Groups.of_sources(trained.data, [0, 1]))
    alone = estimator.gather(trained, {}, Groups.of_sources(trained.data, [1]))
    assert torch.equal(together["tokens_MH"][2:], alone["tokens_MH"])
    assert together["weight_G"].tolist() == [2.5, 2.0] and alone["weight_G"].tolist() == [2.0]


def test_an_empty_group_has_no_influence(tmp_path: Path) -> None:
    trained = text_training(tmp_path)
    found = influences(
        build_estimator("in_context", {}), trained, Groups(np.full(9, -1, dtype=np.int64), 2), text_queries()
    )
    assert torch.equal(found, torch.zeros(3, 2))


def test_a_classifier_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"needs a language model .* the training set has features, labels"):
        build_estimator("in_context", {}).fit(small_training(tmp_path))


def test_a_separator_that_the_model_does_not_know_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not accept the separator 256"):
        build_estimator("in_context", {"separator": 256}).fit(text_training(tmp_path))


@pytest.mark.parametrize("options", [{"examples": 0}, {"separator": -1}, {"seed": -1}])
def test_invalid_options_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="Set examples and rows to at least 1"):
        build_estimator("in_context", options)


@pytest.mark.parametrize(
    ("column", "told"), [("target", "has the column target"), ("large", "separator, such as the id of its eos")]
)
def test_prompts_and_an_unknown_separator_are_refused(tmp_path: Path, column: str, told: str) -> None:
    trained = text_training(tmp_path)
    columns = dict(trained.data.columns)
    if column == "target":
        columns["target"] = columns["tokens"] >= 0
    else:
        columns["tokens"] = columns["tokens"].astype(np.int32) + 40_000
    data = replace(trained.data, columns=columns)
    other = Trained(replace(trained.recipe, data=data), trained.trajectory, trained.steps)
    with pytest.raises(ConfigError, match=told):
        build_estimator("in_context", {}).fit(other)
