"""Semivalues from coalitions against exhaustive enumeration."""

from collections.abc import Callable
from itertools import combinations
from math import comb

import numpy as np
import pytest

from tribute.config import SimulationSettings
from tribute.errors import ConfigError
from tribute.simulation import Unit, design_of, drawn_units

Game = Callable[[frozenset[int]], float]
NOTIONS = ["banzhaf", "shapley"]


def random_game(sources: int, seed: int = 0) -> Game:
    values = np.random.default_rng(seed).normal(size=2**sources)
    return lambda present: float(values[sum(2**source for source in present)])


def subsets(sources: int) -> list[frozenset[int]]:
    return [frozenset(c) for size in range(sources + 1) for c in combinations(range(sources), size)]


def exact(notion: str, game: Game, sources: int) -> np.ndarray:
    """Marginal contributions, averaged over all coalitions alike, or over all sizes alike."""
    found = np.zeros(sources)
    for source in range(sources):
        for others in (each for each in subsets(sources) if source not in each):
            chance = 1 / 2 ** (sources - 1)
            if notion == "shapley":
                chance = 1 / (sources * comb(sources - 1, len(others)))
            found[source] += chance * (game(others | {source}) - game(others))
    return found


def names(sources: int) -> list[str]:
    return [f"s{index}" for index in range(sources)]


def drawn(notion: str, sources: int, coalitions: int, seed: int = 0) -> list[Unit]:
    return drawn_units(SimulationSettings(notion=notion, coalitions=coalitions), names(sources), seed)


def influences(units: list[Unit], game: Game, sources: int) -> np.ndarray:
    """v(everything) - v(what is left) of every unit, as one query, [1, U]."""
    everything = frozenset(range(sources))
    return np.array([[game(everything) - game(everything - set(unit.removed)) for unit in units]])


def estimated(notion: str, units: list[Unit], game: Game, sources: int) -> np.ndarray:
    return design_of(notion, units, np.ones(sources)).influence(influences(units, game, sources))[0]


def kernel_multiset(sources: int) -> list[Unit]:
    """Every proper coalition as often as the Shapley kernel says, in complementary pairs; first, none."""
    scale = np.lcm.reduce([size * (sources - size) * comb(sources, size) for size in range(1, sources)])
    found = [Unit("none", tuple(range(sources)))]
    everything = set(range(sources))
    for kept in (each for each in subsets(sources) if 0 in each and len(each) < sources):
        times = scale // (len(kept) * (sources - len(kept)) * comb(sources, len(kept)))
        pair = [Unit("kept", tuple(sorted(everything - kept))), Unit("left", tuple(sorted(kept)))]
        found += pair * int(times)
    return found


@pytest.mark.parametrize("sources", [3, 4, 5])
@pytest.mark.parametrize("seed", range(3))
def test_with_every_coalition_both_notions_are_exact(sources: int, seed: int) -> None:
    game, everything = random_game(sources, seed), set(range(sources))
    pairs = [Unit("c", tuple(s)) for kept in subsets(sources) if 0 in kept for s in (kept, everything - kept)]
    found = estimated("banzhaf", pairs, game, sources)
    np.testing.assert_allclose(found, exact("banzhaf", game, sources), rtol=1e-12, atol=1e-13)
    found = estimated("shapley", kernel_multiset(sources), game, sources)
    np.testing.assert_allclose(found, exact("shapley", game, sources), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("notion", NOTIONS)
@pytest.mark.parametrize("sources", [1, 2, 3, 4, 5, 6])
@pytest.mark.parametrize("seed", range(2))
def test_few_sources_are_valued_exactly_whatever_the_seed(notion: str, sources: int, seed: int) -> None:
    game, units = random_game(sources, seed), drawn(notion, sources, 64, seed)
    assert len(units) == 2**sources - (notion == "shapley")
    assert len({unit.removed for unit in units}) == len(units)
    design = design_of(notion, units, np.ones(sources))
    influence_QU = influences(units, game, sources)
    np.testing.assert_allclose(design.influence(influence_QU)[0], exact(notion, game, sources), atol=1e-12)
    np.testing.assert_array_equal(design.standard_error(influence_QU), np.zeros((1, sources)))


@pytest.mark.parametrize("notion", NOTIONS)
def test_without_one_of_the_coalitions_the_values_of_few_sources_have_an_error_again(notion: str) -> None:
    game, units = random_game(4), drawn(notion, 4, 64)
    failed = [index == len(units) - 1 for index in range(len(units))]
    influence_QU = influences(units, game, 4)
    influence_QU[0, -1] = np.nan
    design = design_of(notion, units, np.ones(4), failed)
    error_S = np.abs(design.influence(influence_QU)[0] - exact(notion, game, 4))
    assert (design.standard_error(influence_QU)[0] > 0).all()
    assert 0 < error_S.max() < 4 * design.standard_error(influence_QU).max()


@pytest.mark.parametrize("notion", NOTIONS)
def test_the_error_of_drawn_coalitions_falls_like_one_over_the_root_of_their_number(notion: str) -> None:
    game = random_game(10)
    truth = exact(notion, game, 10)

    def error(coalitions: int) -> float:
        found = [estimated(notion, drawn(notion, 10, coalitions, seed), game, 10) for seed in range(60)]
        assert np.abs(np.mean(found, 0) - truth).max() < 1.2 / np.sqrt(coalitions)
        return float(np.sqrt(np.square(np.array(found) - truth).mean()))

    assert 2.2 < error(100) / error(900) < 4.2


def test_shapley_recovers_additive_games_and_always_shares_out_the_whole() -> None:
    worth = np.array([3.0, -1.0, 0.5, 0.0, 2.0])
    units = drawn("shapley", 5, 50)
    np.testing.assert_allclose(estimated("shapley", units, lambda c: sum(worth[list(c)]), 5), worth, atol=1e-12)
    game = random_game(5, 7)
    total = game(frozenset(range(5))) - game(frozenset())
    assert estimated("shapley", units, game, 5).sum() == pytest.approx(total, rel=1e-12)
    assert units[0].removed == tuple(range(5))


@pytest.mark.parametrize("notion", NOTIONS)
def test_redundant_sources_are_worth_nothing_one_by_one_and_the_same_in_coalitions(notion: str) -> None:
    def game(present: frozenset[int]) -> float:
        return float(0 in present or 1 in present)

    singles = drawn("leave_one_out", 4, 4)
    np.testing.assert_array_equal(estimated("leave_one_out", singles, game, 4), np.zeros(4))
    found = estimated(notion, drawn(notion, 4, 4000), game, 4)
    np.testing.assert_allclose(found, [0.5, 0.5, 0, 0], atol=0.05)


@pytest.mark.parametrize("notion", NOTIONS)
def test_the_standard_error_covers_the_truth(notion: str) -> None:
    game = random_game(8, 3)
    truth, held = exact(notion, game, 8), []
    for seed in range(200):
        units = drawn(notion, 8, 80, seed)
        design, influence_QU = design_of(notion, units, np.ones(8)), influences(units, game, 8)
        error = design.standard_error(influence_QU)[0]
        assert (error > 0).all()
        held.append(np.abs(design.influence(influence_QU)[0] - truth) < 1.96 * error)
    assert 0.9 < np.mean(held) < 0.99
    assert np.mean(held, 0).min() > 0.85


@pytest.mark.parametrize("notion", NOTIONS)
def test_units_come_in_complementary_pairs_and_renamed_sources_take_their_values_along(notion: str) -> None:
    game, order = random_game(7), [3, 0, 6, 4, 1, 5, 2]
    units = drawn(notion, 7, 100)
    pairs = units[len(units) % 2 :]
    for one, other in zip(pairs[::2], pairs[1::2], strict=True):
        assert sorted(one.removed + other.removed) == list(range(7))
    assert units == drawn(notion, 7, 100) != drawn(notion, 7, 100, seed=1)
    renamed = [Unit(unit.unit_id, tuple(order.index(s) for s in unit.removed)) for unit in units]
    found = estimated(notion, renamed, lambda present: game(frozenset(order[s] for s in present)), 7)
    np.testing.assert_allclose(found, estimated(notion, units, game, 7)[order], rtol=1e-10, atol=1e-12)


def test_too_few_coalitions_for_shapley_are_refused_and_one_source_takes_all() -> None:
    with pytest.raises(ConfigError, match="need at least 200"):
        drawn("shapley", 20, 199)
    units = drawn("shapley", 1, 10)
    np.testing.assert_array_equal(estimated("shapley", units, lambda present: 3.0 * len(present), 1), [3.0])


@pytest.mark.parametrize("notion", NOTIONS)
def test_a_failed_coalition_is_left_out_with_its_complement(notion: str) -> None:
    game = random_game(4)
    units = drawn(notion, 4, 60)
    first = len(units) % 2
    failed = [index == first + 5 for index in range(len(units))]
    found = influences(units, game, 4)
    found[0, first + 5] = np.nan
    rest = [unit for index, unit in enumerate(units) if index not in (first + 4, first + 5)]
    design = design_of(notion, units, np.ones(4), failed)
    np.testing.assert_allclose(design.influence(found)[0], estimated(notion, rest, game, 4), rtol=1e-10)
    assert np.isfinite(design.standard_error(found)).all()


def test_the_jackknife_is_bounded_whatever_the_number_of_coalitions() -> None:
    design = design_of("banzhaf", drawn("banzhaf", 12, 1000), np.ones(12))
    assert design.jackknife_JUS.shape == (32, 1000, 12)


def test_groups_are_allocated_by_tokens_and_singles_as_they_are() -> None:
    tokens = np.array([1.0, 3.0, 6.0])
    design = design_of("leave_one_out", [Unit("group", (0, 2)), Unit("s1", (1,))], tokens)
    np.testing.assert_allclose(design.influence(np.array([[7.0, 2.0]])), [[1.0, 2.0, 6.0]])
    np.testing.assert_array_equal(design.standard_error(np.array([[7.0, 2.0]])), np.zeros((1, 3)))
    np.testing.assert_allclose(design.influence(np.array([[np.nan, 2.0]])), [[np.nan, 2.0, np.nan]])
    np.testing.assert_array_equal(
        design_of("leave_one_out", drawn("leave_one_out", 3, 4), tokens).allocation_US, np.eye(3)
    )
