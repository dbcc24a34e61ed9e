"""Which sets are left out: distinct, of the right size, under ids that follow from names alone."""

from math import comb

import numpy as np

from tribute.evaluation import RemovalPlan, random_sets, removal, top_units
from tribute.valuation.terms import set_matrix


def test_sets_are_distinct_random_and_of_their_size() -> None:
    found = random_sets(20, 0.5, 50, seed=0)
    assert len(set(found)) == 50 and {len(chosen) for chosen in found} == {10}
    held = set_matrix(found, 20)
    assert held.sum() == 500 and (abs(held.mean(0) - 0.5) < 0.25).all()
    assert found == random_sets(20, 0.5, 50, seed=0) != random_sets(20, 0.5, 50, seed=1)


def test_more_sets_begin_with_the_fewer_so_that_the_bank_serves_both() -> None:
    assert random_sets(20, 0.5, 60, seed=0)[:50] == random_sets(20, 0.5, 50, seed=0)


def test_where_there_are_few_sets_all_are_taken() -> None:
    assert random_sets(10, 0.1, 50, seed=0) == [(u,) for u in range(10)]
    assert len(random_sets(6, 0.5, 20, seed=0)) == comb(6, 3)


def test_an_id_depends_on_names_not_on_positions() -> None:
    one, other = removal((0, 2), ("a", "b", "c")), removal((2, 1), ("b", "c", "a"))
    assert one.unit_id == removal((2, 0), ("a", "b", "c")).unit_id
    assert one.removed == (0, 2) and one.unit_id != removal((0, 1), ("a", "b", "c")).unit_id
    assert sorted(("b", "c", "a")[s] for s in other.removed) == ["a", "c"]


def test_top_units_are_those_that_helped_most() -> None:
    influence = np.array([[0.0, 3.0, -5.0, 2.0], [9.0, 1.0, 2.0, 3.0]])
    assert top_units(influence, 0, 2) == (1, 3)
    assert top_units(influence, 1, 1) == (0,)


def test_a_plan_retrains_single_units_under_all_seeds_and_sets_under_two() -> None:
    influence_QU = np.random.default_rng(0).normal(size=(9, 6))
    plan = RemovalPlan.draw(influence_QU, np.arange(6.0), set_count=5, top_queries=2, seed=0)
    sets = plan.by_seed(0, [10, 11, 12])
    drawn = [chosen for each in plan.random.values() for chosen in each]
    assert sets[11] == sets[12] == plan.singles
    assert sets[10] == plan.singles + drawn
    assert sets[0][: len(sets[10])] == sets[10]
    extra = set(sets[0][len(sets[10]) :])
    assert extra == {chosen for by_count in [*plan.top, plan.largest] for chosen in by_count.values()}
    assert plan.largest == {1: (5,), 2: (4, 5), 3: (3, 4, 5)}
    assert plan.queries == [0, 8] and plan.top[1][1] == (int(influence_QU[8].argmax()),)
    assert sum(plan.counts(3).values()) == sum(map(len, sets.values()))


def test_a_plan_without_another_seed_retrains_under_the_own_one_alone() -> None:
    plan = RemovalPlan.draw(np.ones((4, 6)), np.arange(6.0), set_count=5, top_queries=0, seed=0)
    sets = plan.by_seed(0, [])
    assert sets.keys() == {0}
    assert sum(plan.counts(0).values()) == len(sets[0])


def test_a_plan_without_brittle_queries_has_no_top_units() -> None:
    plan = RemovalPlan.draw(np.ones((4, 4)), np.arange(4.0), set_count=5, top_queries=0, seed=0)
    assert plan.queries == plan.top == []
