"""Scores on a bank of retrained values, against loops over its retrainings."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr

from tests.banks import QUERIES, linear_bank
from tribute.errors import ConfigError
from tribute.evaluation.bank import Kind
from tribute.evaluation.bank_scores import bank_scores, unordered_queries

RESAMPLES = 20


def test_effects_that_add_up_score_one_and_their_negative_minus_one() -> None:
    bank, effect_NQ = linear_bank()
    for sign in (1, -1):
        for figure in bank_scores(3 * sign * effect_NQ, bank, RESAMPLES):
            assert figure is not None
            assert (figure.value, figure.low, figure.high) == pytest.approx((sign, sign, sign))


@pytest.mark.parametrize(
    ("name", "kind", "seeds", "correlation"),
    [
        ("lds_half_other_seed", "half", (1, 2), spearmanr),
        ("lds_half_same_seed", "half", (0,), spearmanr),
        ("lds_percent", "percent", (0,), spearmanr),
        ("leave_one_out", "leave_one_out", (0,), pearsonr),
        ("leave_one_out_deleted", "deleted", (0,), pearsonr),
    ],
)
def test_scores_are_what_a_loop_over_retrainings_finds(
    name: str, kind: Kind, seeds: tuple[int, ...], correlation: object
) -> None:
    """Halves as TRAK defines them: the sum over kept examples. Others: the sum over left-out ones, against what
    was lost."""
    bank, effect_NQ = linear_bank(noise=1.0)
    scores_NQ = effect_NQ + np.random.default_rng(1).normal(size=effect_NQ.shape)
    expected = []
    for q in range(QUERIES):
        measured = dict[bytes, list[float]]()
        for j in np.flatnonzero((bank.kind_M == kind) & np.isin(bank.seed_M, seeds)):
            measured.setdefault(bank.kept_MN[j].tobytes(), []).append(bank.measured_MQ[j, q])
        predicted, real = [], []
        for kept, values in measured.items():
            kept_N = np.frombuffer(kept, bool)
            if kind == "half":
                predicted.append(sum(scores_NQ[i, q] for i in np.flatnonzero(kept_N)))
                real.append(np.mean(values))
            else:
                predicted.append(sum(scores_NQ[i, q] for i in np.flatnonzero(~kept_N)))
                real.append(bank.base_of(0)[q] - np.mean(values))
        expected.append(correlation(predicted, real).statistic)  # type: ignore[operator]
    figure = getattr(bank_scores(scores_NQ, bank, RESAMPLES), name)
    assert figure.value == pytest.approx(np.mean(expected), abs=1e-12)
    assert figure.low < figure.value < figure.high < 1


def test_a_bank_without_a_kind_gives_no_such_score() -> None:
    bank, effect_NQ = linear_bank()
    halves = bank.chosen("half") & (bank.seed_M == bank.settings.own_seed)
    fewer = replace(
        bank,
        kept_MN=bank.kept_MN[halves],
        kind_M=bank.kind_M[halves],
        seed_M=bank.seed_M[halves],
        measured_MQ=bank.measured_MQ[halves],
    )
    row = bank_scores(effect_NQ, fewer, RESAMPLES).as_row()
    assert [name for name, figure in row.items() if figure] == ["lds_half_same_seed"]
    assert list(row["lds_half_same_seed"] or {}) == ["value", "low", "high"]


def test_queries_without_an_order_take_no_part() -> None:
    bank, effect_NQ = linear_bank(noise=1.0)
    flat_NQ = effect_NQ.copy()
    flat_NQ[:, :2] = 1 / 3
    flat, some = bank_scores(flat_NQ, bank, 1), bank.measured_MQ[:, 2:]
    assert unordered_queries(flat_NQ) == 2
    settings = bank.settings.model_copy(update={"queries": QUERIES - 2})
    without = replace(bank, settings=settings, measured_MQ=some, base_BQ=bank.base_BQ[:, 2:])
    for one, other in zip(flat, bank_scores(effect_NQ[:, 2:], without, 1), strict=True):
        assert one is not None
        assert other is not None
        assert one.value == pytest.approx(other.value)
    assert set(bank_scores(np.zeros_like(effect_NQ), bank)) == {None}


def test_scores_of_other_data_or_without_a_number_are_refused() -> None:
    bank, effect_NQ = linear_bank()
    with pytest.raises(ConfigError, match=r"shape is \[59, 9\], expected \[60, 9\], .*Score the setting's own"):
        bank_scores(effect_NQ[1:], bank)
    with pytest.raises(ConfigError, match=r"shape is \[9, 60\], expected \[60, 9\], .*Transpose them"):
        bank_scores(effect_NQ.T, bank)
    effect_NQ[7, 3] = np.inf
    with pytest.raises(ConfigError, match="score of example 7 for query 3 is inf"):
        bank_scores(effect_NQ, bank)
