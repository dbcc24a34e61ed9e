"""SOURCE against a written-out loop over its segments with dense matrices and matrix exponentials."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.unit.estimators.methods.curvature.test_conjugate_gradient import asked, summed_losses
from tests.unit.estimators.methods.curvature.test_ekfac import LAYERS, joined, layer_inputs, pseudo_gradients
from tests.unit.estimators.small import influences, small_queries, small_training, sources
from tribute.errors import ConfigError
from tribute.estimators import Trained, build_estimator, most_influential
from tribute.tasks import joined as flat

Part = list[tuple[Trained, float, int, int]]
"""The states of a segment: the training up to it, its share, and the steps that it stands for."""


def parts(trained: Trained, bounds: list[list[int]]) -> list[Part]:
    """Segments by the places of their states in the recorded trajectory; each stands for the steps before it."""
    recorded, rates, start, found = trained.trajectory.steps(), trained.recipe.schedule.rates, 0, []
    for places in bounds:
        ends = [recorded[place] for place in places]
        mass = rates[start : ends[-1]].sum()
        part = []
        for end in ends:
            part.append(
                (Trained(trained.recipe, trained.trajectory, end), rates[start:end].sum() / mass, start, end)
            )
            start = end
        found.append(part)
    return found


def root(part: Part, layer: str) -> Tensor:
    """Square root of how far a constant gradient moves a layer in a segment, [O, I], as a product of two sides."""
    reach = 0.0
    for at, _, start, end in part:
        rate = at.recipe.schedule.rates[start:end].sum()
        if at.recipe.training.optimizer == "sgd":
            reach = reach + rate / (1 - 0.9) * torch.ones(at.task.size)
        else:
            spread = (flat(at.final.slots[1]) / (1 - 0.99**end) + at.recipe.training.eps_root).sqrt()
            reach = reach + rate / spread
    log_OI = joined(part[0][0], reach, layer).log() / 2
    return (log_OI.mean(0) + log_OI.mean(1)[:, None] - log_OI.mean()).exp()


def curvature(part: Part, layer: str, root_OI: Tensor, slopes_of: list[list[tuple[int, float, Tensor]]]) -> Tensor:
    """Q Lambda Q' of a layer in coordinates theta / root, averaged over the states of a segment."""
    inputs, outputs, drawn = 0.0, 0.0, []
    for (at, share, _, _), slopes in zip(part, slopes_of, strict=True):
        inputs = inputs + share * sum(
            torch.outer(a, a) for a in (root_OI[0] * layer_inputs(at, each)[layer] for each in range(40))
        )
        for _, p, gradient_P in slopes:
            slope_OI = joined(at, gradient_P, layer)
            scaled = root_OI[:, 0] * slope_OI[:, -1]
            outputs = outputs + share * p * torch.outer(scaled, scaled)
            drawn.append((share * p / 40, (root_OI * slope_OI).flatten()))
    basis = torch.kron(torch.linalg.eigh(outputs)[1], torch.linalg.eigh(inputs)[1])
    values = sum(weight * (basis.T @ slope).square() for weight, slope in drawn)
    return basis @ torch.diag(values) @ basis.T


def written_out(trained: Trained, segments: list[Part]) -> Tensor:
    """Influence of every source on every query, [Q, S], layer by layer and segment by segment."""
    found, asked_QP = torch.zeros(3, 3), asked(trained)
    drawn = [[pseudo_gradients(at) for at, *_ in part] for part in segments]
    for layer in LAYERS:
        change = 0.0
        for part, slopes_of in zip(segments, drawn, strict=True):
            root_OI = root(part, layer)
            slope_PS = sum(share * summed_losses(at, sources(at)) for at, share, _, _ in part)
            slopes = torch.stack([joined(trained, each, layer).flatten() for each in slope_PS.T], 1)
            curved, scale = curvature(part, layer, root_OI, slopes_of), root_OI.flatten()[:, None]
            size = len(curved)
            both = torch.zeros(2 * size, 2 * size)  # its exponential holds exp(-H) and (1 - exp(-H)) / H
            both[:size, :size], both[:size, size:] = -curved, torch.eye(size)
            exponential = torch.matrix_exp(both)
            left, unrolled = exponential[:size, :size], exponential[:size, size:]
            change = scale * (left @ (change / scale) - unrolled @ (scale * slopes) / 40)
        for query in range(3):
            found[query] += joined(trained, asked_QP[query], layer).flatten() @ change
    return found


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(
    ("optimizer", "options", "bounds"),
    [
        ("sgd", {}, [[1, 3], [5, 6], [8, 10]]),
        ("adamw", {"segments": 2, "checkpoints": 3}, [[3], [6, 10]]),
        ("sgd", {"segments": 1, "checkpoints": 1}, [[10]]),
    ],
)
def test_influence_equals_the_written_out_loop(
    optimizer: str, options: dict[str, int], bounds: list[list[int]], tmp_path: Path
) -> None:
    trained = small_training(tmp_path, optimizer=optimizer, learning_rate=0.03)
    expected = written_out(trained, parts(trained, bounds))
    found = influences(build_estimator("source", options), trained, sources(trained), small_queries())
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-12)


@pytest.mark.usefixtures("float64")
def test_a_short_training_moves_along_its_gradients(tmp_path: Path) -> None:
    trained = small_training(tmp_path, learning_rate=1e-7)
    reach = trained.recipe.schedule.rates.sum() / (1 - 0.9)
    found = influences(build_estimator("source", {}), trained, sources(trained), small_queries())
    dot = influences(build_estimator("gradient_dot", {}), trained, sources(trained), small_queries())
    torch.testing.assert_close(found, dot * float(reach) / 40, rtol=1e-4, atol=0)


@pytest.mark.usefixtures("float64")
def test_a_source_is_the_sum_of_its_examples(tmp_path: Path) -> None:
    trained, estimator = small_training(tmp_path), build_estimator("source", {})
    single = most_influential(estimator, trained, estimator.fit(trained), small_queries(), 2, 7)
    whole = influences(estimator, trained, sources(trained), small_queries())
    np.testing.assert_allclose(single.influence_Qk.sum(1), whole[:, 2].numpy(), rtol=1e-10)


def test_single_precision_stays_single(tmp_path: Path) -> None:
    trained = small_training(tmp_path, optimizer="adam")
    found = influences(build_estimator("source", {}), trained, sources(trained), small_queries())
    assert found.dtype is torch.float32 and torch.isfinite(found).all() and (found != 0).all()


def test_more_checkpoints_than_states_are_all_of_them(tmp_path: Path) -> None:
    trained = small_training(tmp_path, epochs=1)
    found = [
        influences(build_estimator("source", options), trained, sources(trained), small_queries())
        for options in ({"segments": 5, "checkpoints": 5}, {"segments": 30, "checkpoints": 30})
    ]
    assert torch.equal(*found)


@pytest.mark.parametrize("options", [{"segments": 0}, {"segments": 3, "checkpoints": 2}])
def test_segments_out_of_range_are_told(options: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match=r"source: segments is .* Set segments to at least 1, and checkpoints"):
        build_estimator("source", options)


@pytest.mark.parametrize("options", [{"labels": 0}, {"examples": 0}, {"rows": 0}])
def test_options_of_ekfac_out_of_range_are_told(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"source: labels is .* Set labels to auto, exact or a number from 1"):
        build_estimator("source", options)
