"""Batches of trainings, until values are as precise as asked for or the budget is spent."""

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.valuation.test_values import TOKENS, WORTH, estimates, simulated
from tribute.config import ValuationSettings
from tribute.errors import ConfigError
from tribute.valuation.estimates import Estimates
from tribute.valuation.steps import (
    BATCH,
    MAX_PER_UNIT,
    Seeds,
    Step,
    ValuedBatch,
    diverged_text,
    next_step,
    predicted,
)
from tribute.valuation.terms import Trainings

SEEDS = Seeds((0, 1), (2,))


def batch(known: Trainings | None = None) -> ValuedBatch:
    found: Estimates = replace(estimates(simulated()), trainings=known or Trainings.none(6))
    return ValuedBatch(found, TOKENS, np.eye(6))


def steps(settings: ValuationSettings) -> list[Step]:
    """All steps; a training loses what its sources are worth."""
    known, found, spent = Trainings.none(6), list[Step](), 0.0
    while not found or found[-1].chosen:
        found.append(next_step(settings, batch(known), spent, SEEDS))
        for each, cost in found[-1].chosen:
            row_S = np.isin(np.arange(6), each.removed).astype(float)
            known = Trainings(
                np.vstack([known.removed_KS, row_S]),
                np.append(known.seed_K, each.seed),
                np.append(known.lost_K, row_S @ (TOKENS * WORTH)),
            )
            spent += cost
    return found


def test_trainings_end_with_the_precision() -> None:
    found = steps(ValuationSettings(precision=0.05))
    assert found[-1].expected <= 0.05 < found[-2].expected
    assert all(len(step.chosen) <= BATCH for step in found)


def test_what_is_still_needed_is_predicted() -> None:
    known = batch(estimates(simulated()).trainings)
    expected = next_step(ValuationSettings(), known, 12, SEEDS).expected
    for part, told in ((0.95, "needs about"), (0.01, "needs more than the budget")):
        settings = ValuationSettings(precision=part * expected, budget=40)
        step = next_step(settings, known, 12, SEEDS)
        assert (step.needed is None) == (part == 0.01)
        assert told in step.text(settings)


@pytest.mark.parametrize("budget", [0, 1, 6])
def test_trainings_end_with_the_budget(budget: int) -> None:
    found = steps(ValuationSettings(precision=0.0001, budget=budget))
    assert sum(len(step.chosen) for step in found) <= found[-1].trainings <= budget
    assert found[-1].trainings > budget - 2  # a new seed costs two


def test_trainings_tell_of_the_publisher_that_is_asked_for_or_who_stands_near_a_threshold() -> None:
    named = batch()._replace(payee_ids=tuple("abcdef"))
    of_e = next_step(ValuationSettings(budget=1, publisher="e"), named, 0, SEEDS)
    assert [each.training.removed for each in of_e.chosen] == [(4,)]
    known = batch(estimates(simulated()).trainings)
    [near] = next_step(ValuationSettings(budget=13, threshold=0.02), known, 12, SEEDS).chosen
    assert 1 in near.training.removed, "the second source has 2 % of the value"


@pytest.mark.parametrize("asked", [{"budget": 1}, {"budget": 0}, {"precision": 0.99}])
def test_a_publisher_who_is_paid_for_nothing_is_refused_even_if_nothing_is_trained(asked: dict) -> None:
    named = batch()._replace(payee_ids=tuple("abcdef"))
    with pytest.raises(ConfigError, match=r"is 'x', who is paid for no source\. Publishers: a, b, c, d, e, f"):
        next_step(ValuationSettings(publisher="x", **asked), named, 0, SEEDS)


def test_one_payee_needs_no_training() -> None:
    alone = ValuedBatch(batch().estimates, TOKENS, np.ones((6, 1)))
    assert next_step(ValuationSettings(budget=20), alone, 0, SEEDS).chosen == ()


def test_what_was_trained_before_counts_and_a_step_depends_on_nothing_else() -> None:
    settings, known = ValuationSettings(budget=14), estimates(simulated()).trainings
    one = next_step(settings, batch(known), 12, SEEDS)
    turned = Trainings(*(each[::-1] for each in known)).ordered()
    assert one == next_step(settings, batch(turned), 12, SEEDS)
    assert 1 <= len(one.chosen) <= 2
    assert next_step(settings, batch(known), 14, SEEDS).chosen == ()


def test_what_diverged_is_not_tried_again() -> None:
    first = next_step(ValuationSettings(budget=20), batch(), 0, SEEDS)
    diverged = tuple(each.training for each in first.chosen)
    again = next_step(ValuationSettings(budget=20), batch()._replace(diverged=diverged), 0, SEEDS)
    assert again.chosen and not {*diverged} & {each.training for each in again.chosen}
    told = diverged_text([(["a", "b"], 3), (["c"], 3)])
    assert "Trainings diverged (2): without a, b under seed 3; without c under seed 3. They count" in told


def test_without_a_budget_trainings_end_somewhere() -> None:
    most = MAX_PER_UNIT * 6
    assert next_step(ValuationSettings(precision=1e-9), batch(), most, SEEDS).chosen == ()


def test_a_prediction_falls_with_the_number_and_begins_at_what_is_known() -> None:
    settings = ValuationSettings()
    told = predicted(settings, batch(), SEEDS, (0, 5, 10, 20))
    assert list(told) == [0, 5, 10, 20]
    assert np.all(np.diff(list(told.values())) < 0)
    assert told[0] == pytest.approx(next_step(settings, batch(), 20, SEEDS).expected)


def test_a_prediction_does_not_end_with_the_seeds_that_are_there() -> None:
    """Six sources under two seeds and a new one are not 80 trainings."""
    told = predicted(ValuationSettings(), batch(), SEEDS, (40, 80))
    assert told[80] < 0.9 * told[40]


def test_no_budget_is_not_exceeded() -> None:
    settings = ValuationSettings(precision=1e-6)
    told = next_step(settings, batch(), 0, SEEDS).text(settings)
    assert told.endswith("0.0% needs more than 40 more")


def test_a_prediction_counts_the_full_training_of_a_new_seed() -> None:
    told = predicted(ValuationSettings(), batch(), Seeds((), (2,)), (0, 1, 2, 3))
    assert told[3] < told[2] < told[1] == told[0]
