"""What follows from influences: estimates by gradients, values of sources, shares of publishers, amounts."""

from fractions import Fraction
from typing import Any

import numpy as np
import torch

import tribute
from tests.fuzz.chance import Chance
from tests.fuzz.money.oracle import half_even, largest_remainder, minor_units, proportional
from tests.fuzz.part import require, require_close
from tests.fuzz.study.retraining import PlainTraining
from tests.fuzz.study.worlds import World
from tribute.estimators import ESTIMATORS

OF_ALL = tuple(name for name in ESTIMATORS if name not in ("bm25", "patches"))
"""Estimators that are not for one kind of model."""
DAMPED = {"conjugate_gradient": {"damping": 100.0}}
"""Options under which an estimator suits a loss that is not convex in the outputs."""


def check_estimate(study: tribute.Study, world: World, plain: PlainTraining, method: str) -> None:
    """An estimator gives finite numbers, some of them not 0, or says that the task does not suit it.

    `gradient_dot` is also compared with gradients by plain PyTorch.
    """
    try:
        found = study.attribute(world.queries, method, options=DAMPED.get(method))
    except tribute.TributeError as refusal:
        require(method in str(refusal) or "estimator" in str(refusal), f"{method} is refused by {refusal}")
        return
    require(np.isfinite(found.influence_QS).all(), f"{method} gives numbers that are not finite")
    require(np.abs(found.influence_QS).max() > 0, f"{method} gives 0 everywhere")
    if method == "gradient_dot":
        model = plain.model({}).eval()
        rows = {name: torch.from_numpy(values) for name, values in world.columns.items()}
        losses_N = world.task.training_loss(model, rows)
        sources = torch.from_numpy(world.source_N)
        by_source = [_gradient(model, losses_N[sources == source].sum()) for source in range(len(world.ids))]
        asked = {name: torch.from_numpy(values) for name, values in world.queries.items()}
        by_query = [_gradient(model, value) for value in world.task.measurement(model, asked)]
        expected_QS = torch.stack([torch.stack([-query @ source for source in by_source]) for query in by_query])
        require_close(found.influence_RQS[0], expected_QS, 1e-3, "products of gradients")


def _gradient(model: torch.nn.Module, value: torch.Tensor) -> torch.Tensor:
    trained = [each for each in model.parameters() if each.requires_grad]
    found = torch.autograd.grad(value, trained, retain_graph=True, allow_unused=True)
    dense = [
        torch.zeros_like(p) if g is None else g.to_dense() if g.is_sparse else g
        for g, p in zip(found, trained, strict=True)
    ]
    return torch.cat([each.double().reshape(-1) for each in dense])


def check_payout(study: tribute.Study, found: Any, chance: Chance) -> None:
    """Values are finite, shares follow from them, and amounts sum to the pool by largest remainder."""
    values = study.value(found)
    low_S, high_S = values.interval()
    require(np.isfinite([values.value_S, low_S, high_S]).all() and (low_S <= high_S).all(), "values or intervals")
    publishers = ["one", "two", "three"]
    halves = {"one": "1/3", "two": Fraction(2, 3)}
    rights: dict[str, Any] = {name: chance.of([*publishers, halves]) for name in study.source_ids}
    worth, tokens = dict[str, Fraction](), dict[str, Fraction]()
    for name, value, count in zip(study.source_ids, values.value_S.tolist(), study.tokens, strict=True):
        own = {rights[name]: Fraction(1)} if isinstance(rights[name], str) else rights[name]
        for publisher, part in own.items():
            worth[publisher] = worth.get(publisher, Fraction(0)) + Fraction(value) * Fraction(part)
            whole = half_even(count * Fraction(part))  # statements count whole tokens
            tokens[publisher] = tokens.get(publisher, Fraction(0)) + whole
    shares = values.shares(rights).exact
    expected = proportional(worth) or proportional(tokens)
    require(sum(shares.values()) == 1, f"shares sum to {sum(shares.values())}")
    require_close([float(shares[name]) for name in expected], [*map(float, expected.values())], 1e-6, "shares")
    amount = chance.of(["1000.01", "0.07", "99999999.99"])
    paid = values.shares(rights).allocate(f"{amount} EUR").minor
    require(paid == largest_remainder(minor_units(amount, 2), shares), f"amounts {paid} by shares {shares}")
