"""Semivalues from coalitions against exhaustive enumeration."""

from collections.abc import Callable
from itertools import combinations
from math import comb

import numpy as np
import pytest
from scipy.special import stdtrit

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


def exact_of(notion: str, worth_GC: np.ndarray, sources: int) -> np.ndarray:
    """What `exact` gives for games by table, [G, 2^S], at once: [G, S]."""
    code_C = np.arange(2**sources)
    others_C = np.array([code.bit_count() for code in code_C.tolist()])
    found = []
    for source in range(sources):
        without = code_C[code_C >> source & 1 == 0]
        chance = np.full(len(without), 1 / 2 ** (sources - 1))
        if notion == "shapley":
            chance = np.array([1 / (sources * comb(sources - 1, size)) for size in others_C[without].tolist()])
        found.append((worth_GC[:, without + 2**source] - worth_GC[:, without]) @ chance)
    return np.stack(found, 1)


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
    """Whichever it is: on average the stated error is the true one."""
    game, units = random_game(5), drawn(notion, 5, 64)
    truth, stated, errors = exact(notion, game, 5), [], []
    for lost in range(len(units) % 2, len(units)):
        failed = [index == lost for index in range(len(units))]
        influence_QU = np.where(failed, np.nan, influences(units, game, 5))
        design = design_of(notion, units, np.ones(5), failed)
        stated.append(design.standard_error(influence_QU)[0])
        errors.append(design.influence(influence_QU)[0] - truth)
    assert (np.array(stated).max(1) > 0).all()
    assert np.sqrt(np.mean(np.square(errors)) / np.mean(np.square(stated))) == pytest.approx(1, abs=0.25)


@pytest.mark.parametrize("notion", NOTIONS)
def test_values_are_unbiased_and_their_error_goes_to_zero_as_the_coalitions_become_all(notion: str) -> None:
    game = random_game(8)
    truth = exact(notion, game, 8)

    def error(coalitions: int) -> float:
        found = [estimated(notion, drawn(notion, 8, coalitions, seed), game, 8) for seed in range(60)]
        assert np.abs(np.mean(found, 0) - truth).max() < 1.2 / np.sqrt(coalitions)
        return float(np.sqrt(np.square(np.array(found) - truth).mean()))

    few, half, most, nearly = (error(coalitions) for coalitions in (80, 128, 240, 252))
    assert few > 1.3 * half > 3 * most > 3.6 * nearly > 0


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


def interacting_game(sources: int, seed: int) -> np.ndarray:
    """Worth of every coalition: of single sources, of pairs and of triples, [2^S]; bit s: source s is there."""
    rng, kept_CS = np.random.default_rng(seed), np.arange(2**sources)[:, None] >> np.arange(sources) & 1
    own_S, pair_SS, triple_SSS = (
        rng.normal(size=(sources,) * order) / sources ** (order - 1) for order in (1, 2, 3)
    )
    three = np.einsum("ci,cj,ck,ijk->c", kept_CS, kept_CS, kept_CS, triple_SSS, optimize=True)
    return np.asarray(kept_CS @ (1 + own_S) + np.einsum("ci,ij,cj->c", kept_CS, pair_SS, kept_CS) + 3 * three)


FEW = [
    *[("banzhaf", *case) for case in ((3, 4), (4, 12), (5, 12), (6, 40), (8, 64), (9, 200), (10, 64))],
    *[("shapley", *case) for case in ((6, 60), (7, 70), (7, 110), (8, 80), (9, 200), (10, 100))],
]


@pytest.mark.parametrize(("notion", "sources", "coalitions"), FEW)
def test_the_stated_error_is_the_true_one_and_intervals_cover(notion: str, sources: int, coalitions: int) -> None:
    """Over draws of the coalitions, for games with interactions of three."""
    worth_GC = np.stack([interacting_game(sources, seed) for seed in range(4)])
    truth_GS = exact_of(notion, worth_GC, sources)
    stated, errors, held = [], [], []
    for seed in range(160):
        worth_C, truth = worth_GC[seed % 4], truth_GS[seed % 4]
        units = drawn(notion, sources, coalitions, 1000 + seed)
        left_U = [2**sources - 1 - sum(2**s for s in unit.removed) for unit in units]
        design = design_of(notion, units, np.ones(sources))
        influence_QU = (worth_C[-1] - worth_C[left_U])[None]
        [error_S], pairs = design.standard_error(influence_QU), len(design.sampling_errors(influence_QU[0]))
        stated.append(error_S)
        errors.append(design.influence(influence_QU)[0] - truth)
        held.append(np.abs(errors[-1]) < stdtrit(pairs - 1, 0.975) * error_S)
    assert np.sqrt(np.mean(np.square(stated)) / np.mean(np.square(errors))) == pytest.approx(1, abs=0.2)
    assert 0.9 < np.mean(held) < 0.99


@pytest.mark.parametrize("notion", NOTIONS)
def test_the_error_of_a_sum_over_queries_is_that_of_the_summed_units(notion: str) -> None:
    """All queries have the same coalitions: their errors do not cancel like independent ones."""
    found = []
    games = [random_game(7, 9), *(random_game(7, seed) for seed in range(12))]
    for seed in range(40):
        units = drawn(notion, 7, 80, seed)
        design = design_of(notion, units, np.ones(7))
        of_games_QU = np.concatenate([influences(units, game, 7) for game in games])
        influence_QU = of_games_QU[:1] + 0.3 * of_games_QU[1:]
        summed_U = influence_QU.sum(0)
        parts_PS, [error_S] = design.sampling_errors(summed_U), design.standard_error(summed_U[None])
        np.testing.assert_allclose(np.sqrt(np.square(parts_PS).sum(0)), error_S, rtol=1e-9)
        independent_S = np.sqrt(np.square(design.standard_error(influence_QU)).sum(0))
        found.append((design.influence(summed_U[None])[0], error_S, independent_S))
    value_NS, stated_NS, independent_NS = (np.array(each) for each in zip(*found, strict=True))
    true = np.sqrt(value_NS.var(0, ddof=1).mean())
    assert np.sqrt(np.square(stated_NS).mean()) == pytest.approx(true, rel=0.2)
    assert np.sqrt(np.square(independent_NS).mean()) < 0.5 * true


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
    with pytest.raises(ConfigError, match="need at least 200: fewer"):
        drawn("shapley", 20, 199)
    with pytest.raises(ConfigError, match="3 sources need at least 7, all there are"):
        drawn("shapley", 3, 6)
    assert len(drawn("shapley", 3, 7)) == 7
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


@pytest.mark.parametrize("notion", NOTIONS)
def test_no_coalition_is_drawn_twice_and_one_that_was_counts_once(notion: str) -> None:
    units, game = drawn(notion, 7, 120), random_game(7)
    assert len({unit.removed for unit in units}) == len(units)
    once, twice = (design_of(notion, each, np.ones(7)) for each in (units, units + units[-4:]))
    found = influences(units + units[-4:], game, 7)
    np.testing.assert_allclose(twice.influence(found), once.influence(found[:, :-4]), rtol=1e-12)
    np.testing.assert_allclose(twice.standard_error(found), once.standard_error(found[:, :-4]), rtol=1e-9)
    some = once.influence(found[:, :-4], [5, 2]), once.standard_error(found[:, :-4], [5, 2])
    np.testing.assert_allclose(some[0], once.influence(found[:, :-4])[:, [5, 2]], rtol=1e-12)
    np.testing.assert_allclose(some[1], once.standard_error(found[:, :-4])[:, [5, 2]], rtol=1e-12)


@pytest.mark.parametrize("notion", NOTIONS)
def test_values_are_unknown_where_too_few_coalitions_are_left(notion: str) -> None:
    units = drawn(notion, 7, 80)
    failed = [index > 1 for index in range(len(units))]
    found = np.where(failed, np.nan, influences(units, random_game(7), 7))
    assert np.isnan(design_of(notion, units, np.ones(7), failed).influence(found)).all()


def test_groups_are_allocated_by_tokens_and_singles_as_they_are() -> None:
    tokens = np.array([1.0, 3.0, 6.0])
    design = design_of("leave_one_out", [Unit("group", (0, 2)), Unit("s1", (1,))], tokens)
    np.testing.assert_allclose(design.influence(np.array([[7.0, 2.0]])), [[1.0, 2.0, 6.0]])
    np.testing.assert_array_equal(design.standard_error(np.array([[7.0, 2.0]])), np.zeros((1, 3)))
    np.testing.assert_allclose(design.influence(np.array([[np.nan, 2.0]])), [[np.nan, 2.0, np.nan]])
    np.testing.assert_array_equal(
        design_of("leave_one_out", drawn("leave_one_out", 3, 4), tokens).allocation_US, np.eye(3)
    )
