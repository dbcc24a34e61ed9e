"""How many coalitions Shapley values need, measured in the error of giving every source an equal share."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from tribute.errors import ConfigError
from tribute.simulation import change_matrix, design_of
from tribute.simulation.units import shapley_units

Made = tuple[Callable[[NDArray], NDArray], NDArray]
"""A game of coalitions, [C, S] to [C], and its Shapley values, [S]."""


def pairwise(sources: int, seed: int) -> Made:
    """Every source's own worth, and that of every pair, which the two share."""
    rng = np.random.default_rng(seed)
    own_S, pair_SS = rng.normal(1, 1, sources), np.triu(rng.normal(size=(sources, sources)), 1) / np.sqrt(sources)
    return (
        lambda kept_CS: kept_CS @ own_S + np.einsum("ci,ij,cj->c", kept_CS, pair_SS, kept_CS),
        own_S + (pair_SS + pair_SS.T).sum(1) / 2,
    )


def diminishing(sources: int, seed: int) -> Made:
    """The root of what is there; its Shapley values from 1000 random orders of arrival."""
    rng = np.random.default_rng(seed)
    own_S = rng.lognormal(0, 0.7, sources)
    truth_S = np.zeros(sources)
    for _ in range(1000):
        order = rng.permutation(sources)
        truth_S[order] += np.diff(np.sqrt(np.cumsum(own_S[order])), prepend=0) / 1000
    return lambda kept_CS: np.sqrt(kept_CS @ own_S), truth_S


def error(make: Callable[[int, int], Made], sources: int, per_source: int) -> float:
    """Of Shapley values from this many coalitions, as a part of that of equal shares: median of 15 games."""
    found = []
    for seed in range(15):
        game, truth_S = make(sources, seed)
        units = shapley_units(sources, per_source * sources, seed, per_source)
        worth_U = game(np.ones((1, sources))) - game(1 - change_matrix(units, sources))
        estimate_S = design_of("shapley", units, np.ones(sources)).influence(worth_U[None])[0]
        found.append(np.linalg.norm(estimate_S - truth_S) / np.linalg.norm(truth_S.mean() - truth_S))
    return float(np.median(found))


@pytest.mark.parametrize("sources", [8, 20])
def test_the_least_number_of_coalitions_suffices(sources: int) -> None:
    with pytest.raises(ConfigError, match=f"at least {10 * sources}"):
        shapley_units(sources, 10 * sources - 1, 0)
    assert error(pairwise, sources, 10) < 0.05
    assert error(diminishing, sources, 10) < 0.65


def test_far_fewer_coalitions_are_worse_than_equal_shares() -> None:
    assert error(diminishing, 20, 3) > 1.2
