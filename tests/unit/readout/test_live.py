"""Live uses: unbiased totals whatever heads and probabilities are, precise enough, intervals that hold."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.unit.readout.test_head import SOURCES, Traffic, design
from tribute.config import ValuationSettings
from tribute.readout import Head, LiveUses, SourceHead, draw, draw_probability, live_totals
from tribute.valuation import SourceSums
from tribute.valuation.values import _doubt

Array = NDArray[np.float64]
GROUPS = 128
SETTINGS = ValuationSettings(resamples=400)
SIZES: dict[str, Callable[[np.random.Generator, int], Array]] = {
    "equal": lambda _, count: np.ones(count),
    "heavy": lambda rng, count: 0.1 + rng.pareto(2.5, size=count),
    "late giants": lambda rng, count: np.sort(rng.exponential(size=count)),
}


class Month:
    """Uses with a head, and what it misses: exact influences by source [R, Q, S], uses, groups."""

    def __init__(self, count: int, sizes: str = "equal", seed: int = 1) -> None:
        rng, traffic = np.random.default_rng([seed, 2]), Traffic.of(count, seed=seed)
        self.uses_Q, self.group_Q = SIZES[sizes](rng, count), rng.integers(GROUPS, size=count)
        self.exact_RQS = np.stack([design().influence(each) for each in traffic.influence_RQU])
        self.feature_Qd = traffic.feature_Qd

    def part(self, head: Head, drawn_Q: NDArray[np.bool_], probability_Q: Array, which: slice) -> LiveUses:
        coordinates_Qk = head.coordinates(self.feature_Qd[which])
        columns = self.uses_Q[which], self.group_Q[which], coordinates_Qk, drawn_Q[which], probability_Q[which]
        return LiveUses(SourceHead.of(head, design()), *columns)

    def missed(self, head: Head) -> Array:
        """u (I - g), means over replicates, [Q, S]."""
        predicted_RQU = head.influence(head.coordinates(self.feature_Qd))
        predicted_QS = design().influence(predicted_RQU.mean(0))
        return np.asarray(self.uses_Q[:, None] * (self.exact_RQS.mean(0) - predicted_QS))

    def totals(self) -> Array:
        """What every use read out exactly would sum to, [S]."""
        return np.asarray(self.uses_Q @ self.exact_RQS.mean(0))


def test_totals_are_unbiased_with_any_heads_and_probabilities() -> None:
    month, rng = Month(40, "heavy"), np.random.default_rng(0)
    good, bad = Traffic.of(100).fit(), Traffic.of(6, noise=20.0, seed=9).fit()
    probability_Q = np.where(rng.random(40) < 0.2, 1.0, rng.uniform(0.1, 0.9, size=40))
    expected_RS, found = np.einsum("q,rqs->rs", month.uses_Q, month.exact_RQS), []
    for _ in range(2000):
        drawn_Q = rng.random(40) < probability_Q
        parts = [month.part(good, drawn_Q, probability_Q, slice(0, 25))]
        parts.append(month.part(bad, drawn_Q, probability_Q, slice(25, None)))
        added = live_totals(parts)
        expanded_Q = month.uses_Q * drawn_Q / probability_Q
        drawn_RS = np.einsum("q,rqs->rs", expanded_Q, month.exact_RQS)
        found.append(drawn_RS + (added.predicted_RGS - added.expanded_RGS).sum(1))
    error_RS = np.std(found, 0) / np.sqrt(len(found))
    assert (np.abs(np.mean(found, 0) - expected_RS) < 4 * error_RS).all()
    assert (error_RS < 0.05 * np.abs(expected_RS).max()).all()


def test_what_is_read_out_for_certain_is_exact_and_adds_no_row() -> None:
    month, head, certain_Q = Month(30), Traffic.of(100).fit(), np.ones(30)
    probability_Q = np.where(np.arange(30) < 10, 1.0, 0.5)
    rows = live_totals([month.part(head, probability_Q > 0, probability_Q, slice(None))])
    assert set(rows.groups.tolist()) == set(month.group_Q[10:].tolist())
    nothing = live_totals([month.part(head, certain_Q > 0, certain_Q, slice(None))])
    assert nothing.rows("attribute-1", list("abcde")).num_rows == 0


def test_rows_say_what_the_sums_are_without_failed_simulations() -> None:
    traffic, month = Traffic.of(60), Month(20)
    failed_RQU = traffic.influence_RQU.copy()
    failed_RQU[1, :, 0] = np.nan
    head, half_Q = Head.fit(traffic.feature_Qd, failed_RQU, design(), 0.05), np.full(20, 0.5)
    totals = live_totals([month.part(head, np.arange(20) < 8, half_Q, slice(None))])
    rows = totals.rows("attribute-1", list("abcde")).to_pylist()
    assert len(rows) == (3 * SOURCES - 1) * len(totals.groups)
    for row in rows:
        place = row["replicate"], totals.groups.tolist().index(row["bucket"]), "abcde".index(row["source_id"])
        assert (row["predicted_nats"], row["expanded_nats"]) == (
            totals.predicted_RGS[place],
            totals.expanded_RGS[place],
        )
    keys = [(row["source_id"], row["replicate"], row["bucket"]) for row in rows]
    assert keys == sorted(keys) and ("a", 1) not in {key[:2] for key in keys}


@pytest.mark.parametrize("sizes", SIZES)
def test_totals_are_as_precise_as_asked_for_at_every_moment(sizes: str) -> None:
    """The exact variance under Poisson sampling, at many moments, against the half width asked for."""
    precision, month, head = 0.003, Month(40_000, sizes), Traffic.of(400).fit(0.003)
    probability_Q = draw_probability(head.needed, month.uses_Q, 0.0)
    variance_QS = np.square(month.missed(head)) * ((1 - probability_Q) / probability_Q)[:, None]
    half_QS = 1.96 * np.sqrt(np.cumsum(variance_QS, 0))
    total_QS = np.cumsum(month.uses_Q[:, None] * month.exact_RQS.mean(0), 0)
    wanted_Q = precision * np.clip(total_QS, 0, None).sum(1)
    ratio_Q = (half_QS.max(1) / wanted_Q)[::100]
    assert ratio_Q.max() < 1.15 and ratio_Q[-1] > 0.5  # the pilot tells errors and totals to some percent
    assert probability_Q.sum() < 0.2 * 40_000


def test_batches_of_uses_have_the_probabilities_of_one_batch() -> None:
    uses_Q = np.random.default_rng(0).exponential(size=3000)
    uses_Q[7] = 0.0
    once = draw_probability(300, uses_Q, 0.0)
    twice = [draw_probability(300, uses_Q[:1000], 0.0), draw_probability(300, uses_Q[1000:], uses_Q[:1000].sum())]
    np.testing.assert_allclose(once, np.concatenate(twice), rtol=1e-9)
    assert 0 < once[7] == once.min() < 1e-5  # a use of no size


@pytest.mark.parametrize("needed", [50, 3000])
def test_the_number_of_draws_is_as_expected(needed: float) -> None:
    probability_Q, half = draw_probability(needed, np.ones(50_000), 0.0), max(needed, 200) // 2
    assert (probability_Q[:half] == 1).all()
    assert probability_Q.sum() == pytest.approx(half * (1 + np.log(50_000 / half)), rel=0.01)
    drawn = draw(probability_Q)
    assert abs(drawn.sum() - probability_Q.sum()) < 5 * np.sqrt((probability_Q * (1 - probability_Q)).sum())
    assert drawn[:half].all() and (draw(probability_Q) != drawn).any()


@pytest.mark.parametrize(("count", "sizes"), [(600, "equal"), (6000, "equal"), (6000, "heavy")])
def test_intervals_hold(count: int, sizes: str) -> None:
    """Where every third use is read out, and where few are; as a valuation draws its errors."""
    month, head, rng = Month(count, sizes), Traffic.of(200).fit(0.03), np.random.default_rng(3)
    missed_QS, zero_GS = month.missed(head), np.zeros((GROUPS, SOURCES))
    probability_Q = draw_probability(head.needed, month.uses_Q, 0.0)
    open_Q, inside, half = probability_Q < 1, [], []
    for _ in range(400):
        drawn_Q = np.flatnonzero((rng.random(count) < probability_Q) & open_Q)
        residual_GS, factor_Q = zero_GS.copy(), 1 / probability_Q[drawn_Q]
        np.add.at(residual_GS, month.group_Q[drawn_Q], missed_QS[drawn_Q] * factor_Q[:, None])
        square_Q = np.square(month.uses_Q[drawn_Q] * factor_Q)
        part = float(square_Q @ probability_Q[drawn_Q] / square_Q.sum())
        sums = SourceSums(tuple("abcde"), zero_GS[None], residual_GS, zero_GS[0], count, 1.0, drawn=part)
        half.append(1.96 * _doubt(sums, SETTINGS).std(0))
        inside.append(np.abs(residual_GS.sum(0) - missed_QS[open_Q].sum(0)) < half[-1])
    variance_S = (np.square(missed_QS) * ((1 - probability_Q) / probability_Q)[:, None]).sum(0)
    np.testing.assert_allclose(np.square(half).mean(0), 1.96**2 * variance_S, rtol=0.15)
    assert count < 1000 or 0.92 < np.mean(inside) < 0.97
