"""Scores of influence estimates, and of the values that are paid by, against the ground truth of retraining.

Everything here takes arrays: no project file, no lake, no cluster. A study of three sources, one payee each:

    >>> import numpy as np
    >>> lost_QU = np.array([[3.0, 1.0, 0.5], [0.2, 2.0, 0.1]])
    >>> truth = GroundTruth([lost_QU, lost_QU + 0.1])
    >>> study = EvaluationStudy(truth, uses_Q=np.ones(2), split_UP=np.eye(3), resamples=100)
    >>> scores = study.score(2 * lost_QU)
    >>> scores.leave_source_out.value, round(scores.misallocated_pool, 3)
    (1.0, 0.01)

Legend: Q queries, U units (sources, or groups of sources), S sources, P payees, N draws.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from tribute.evaluation.figures import BrittlenessFigures, EffectFigures, PayeeFigures, PoolFigures
from tribute.evaluation.ground_truth import GroundTruth
from tribute.evaluation.metrics import Figure, bootstrapped, misallocated, seed_ceiling
from tribute.royalty.document import Repetition
from tribute.valuation import CONFIDENCE, SourceValues, share_interval
from tribute.valuation.posterior import shares

Array = NDArray[np.float64]
LDS = ("lds_half_other_seed", "lds_half_same_seed", "lds_tenth_other_seed", "lds_tenth_same_seed")
MIN_TRUTH_SEEDS = 4
"""Retraining seeds below which the ground truth carries a warning."""


class Scores(NamedTuple):
    """Scores of one influence estimate; None where the ground truth does not allow the score.

    ``lds``: linear datamodeling scores by name, see `LDS`. ``leave_source_out``: rank correlation over the units
    with leave-one-out losses, mean over queries. ``misallocated_pool``: part of the pool that the estimate would
    send to the wrong payee, 0 to 1.
    """

    lds: Mapping[str, Figure | None]
    leave_source_out: Figure | None
    misallocated_pool: float


class ValueScores(NamedTuple):
    """Scores of the values that are paid by.

    ``pool``: misallocated pool of the values, of token counts and of equal shares, and the ceiling of retraining.
    ``intervals``: each payee's share with its 95% interval and the true share. ``coverage_95``: part of the
    intervals that hold the true share.
    """

    pool: PoolFigures
    intervals: list[PayeeFigures]
    coverage_95: float


@dataclass(frozen=True)
class EvaluationStudy:
    """Compares estimates with retraining, on queries that nothing was tuned on.

    Args:
        uses_Q: how much each query counts, [Q]; its weight over its inclusion probability.
        split_UP: each payee's part of every unit, [U, P]; rows sum to 1. Identity: each unit is a payee.
        resamples: bootstrap resamples behind the interval of every rank correlation.
        seed: of the bootstrap.
    """

    truth: GroundTruth
    uses_Q: Array
    split_UP: Array
    resamples: int = 400
    seed: int = 0

    def score(self, influence_QU: Array, unseen_QU: Array | None = None) -> Scores:
        """LDS, leave-source-out rank correlation and misallocated pool of an influence estimate.

        Args:
            influence_QU: [Q, U], nats or any unit that ranks units and adds up over them.
            unseen_QU: where the truth is `own`, the same estimate made without the training of the `other` seed,
                by which it is judged there; None: there is none, and the scores by another seed are left out.

        Source: LDS, TRAK, arXiv 2303.14186.
        """
        return Scores(
            lds_scores(influence_QU, self.truth, self.resamples, self.seed, unseen_QU),
            bootstrapped(influence_QU, self.truth.mean_QU, self.resamples, self.seed),
            self.misallocated(self.uses_Q @ influence_QU),
        )

    def score_values(
        self, values: SourceValues, tokens_S: Array, member_SU: Array, payee_ids: Sequence[str]
    ) -> ValueScores:
        """Misallocated pool and interval coverage of values.

        Args:
            tokens_S: token counts, [S].
            member_SU: 1 where a source is in a unit, [S, U].
            payee_ids: names of the payees, in the order of `split_UP`.
        """
        split_SP = member_SU @ self.split_UP
        truths_P = [np.nan_to_num(self.uses_Q @ lost_QU) @ self.split_UP for lost_QU in self.truth.leave_one_out]
        value_P, tokens_P = values.value_S @ split_SP, tokens_S @ split_SP
        intervals = payee_intervals(payee_ids, value_P, values.draws_NS @ split_SP, tokens_P, np.mean(truths_P, 0))
        covered = [row.low <= row.truth <= row.high for row in intervals]
        return ValueScores(pool_scores(value_P, tokens_P, truths_P), intervals, float(np.mean(covered)))

    def improvement(self, paid_U: Array, influence_QU: Array) -> Figure | None:
        """The part of the pool that an estimate alone sends to the right payee and the paid values to another.

        Mean over retraining seeds of the paid values' misallocated pool minus the estimate's, with the 95%
        interval of Student's t; None with a single seed.

        Args:
            paid_U: values of the units, [U].
        """
        estimate_P, paid_P = self.uses_Q @ influence_QU @ self.split_UP, paid_U @ self.split_UP
        owed = [np.nan_to_num(self.uses_Q @ lost_QU) @ self.split_UP for lost_QU in self.truth.leave_one_out]
        if len(owed) < 2:
            return None
        better = [misallocated(paid_P, owed_P) - misallocated(estimate_P, owed_P) for owed_P in owed]
        half = stdtrit(len(better) - 1, (1 + CONFIDENCE) / 2) * np.std(better, ddof=1) / np.sqrt(len(better))
        return Figure(float(np.mean(better)), float(np.mean(better) - half), float(np.mean(better) + half))

    def misallocated(self, paid_U: Array) -> float:
        """Misallocated pool of values of the units, [U]."""
        owed_P = np.nan_to_num(self.uses_Q @ self.truth.mean_QU) @ self.split_UP
        return misallocated(paid_U @ self.split_UP, owed_P)

    def effects(self, influence_QU: Array) -> list[EffectFigures]:
        """Predicted and real loss of all queries together, of each unit and of each random half.

        Halves are judged by another seed; where the truth is `own`, by the estimate's.
        """
        seed = "same" if self.truth.own else "other"
        predicted_QM, lost_QM = influence_QU @ self.truth.sets["half"].T, self.truth.lost["half", seed]
        pairs = [("one", influence_QU, self.truth.mean_QU), ("half", predicted_QM, lost_QM)]
        return [
            EffectFigures(removed=name, predicted=float(predicted), real=float(real))
            for name, predictions, losses in pairs
            for predicted, real in zip(predictions.sum(0), losses.sum(0), strict=True)
        ]


def lds_scores(
    influence_QU: Array, truth: GroundTruth, resamples: int, seed: int, unseen_QU: Array | None = None
) -> dict[str, Figure | None]:
    """Linear datamodeling scores with bootstrap intervals, for each kind in `LDS` that the ground truth covers.

    Args:
        unseen_QU: what is judged by another seed where the truth is `own`; None is not judged.
    """
    scores: dict[str, Figure | None] = {}
    for name in LDS:
        _, part, whose_seed, _ = name.split("_")
        judged_QU = unseen_QU if truth.own and whose_seed == "other" else influence_QU
        if judged_QU is not None and (part, whose_seed) in truth.lost:
            predicted_QM = judged_QU @ truth.sets[part].T
            scores[name] = bootstrapped(predicted_QM, truth.lost[part, whose_seed], resamples, seed)
    return scores


def payee_intervals(
    payee_ids: Sequence[str], value_P: Array, draws_NP: Array, tokens_P: Array, truth_P: Array
) -> list[PayeeFigures]:
    """Every payee's share with its 95% interval and the true share: what is above 0, over its sum."""
    tokens_P = tokens_P / tokens_P.sum()
    low_P, high_P = share_interval(draws_NP, tokens_P)
    paid_P, owed_P = shares(value_P, tokens_P), shares(truth_P, tokens_P)
    return [
        PayeeFigures(
            source_id=payee_id,
            value=float(paid_P[p]),
            low=float(low_P[p]),
            high=float(high_P[p]),
            truth=float(owed_P[p]),
        )
        for p, payee_id in enumerate(payee_ids)
    ]


def pool_scores(value_P: Array, tokens_P: Array, truths_P: Sequence[Array]) -> PoolFigures:
    """Misallocated pool of values, token counts and equal shares. The ceiling compares one half of the seeds with
    the other.
    """
    truth_P = np.mean(truths_P, axis=0)
    return PoolFigures(
        misallocated_pool=misallocated(value_P, truth_P),
        token_count=misallocated(tokens_P, truth_P),
        equal=misallocated(np.ones_like(tokens_P), truth_P),
        ceiling=seed_ceiling(truths_P, misallocated),
    )


def brittleness(removed: int, lost_BM: Array) -> BrittlenessFigures:
    """Mean loss of some queries without their own top units, and without the largest units.

    Args:
        removed: number of units in every set.
        lost_BM: loss of B queries without M = B + 1 sets, [B, M] nats. Set b holds query b's top units; the last
            set holds the largest units.
    """
    top, largest = float(np.diag(lost_BM).mean()), float(lost_BM[:, -1].mean())
    return BrittlenessFigures(removed=removed, attribution=top, token_count=largest)


def evaluation_warnings(
    pool: PoolFigures, token_weight: float, seeds: int, repetition: Repetition = "retrained"
) -> list[str]:
    """Warnings about an evaluation: values worse than token counts, or a ground truth of few seeds.

    Args:
        token_weight: part of the values that are token counts, 0 to 1.
        seeds: of the ground truth.
        repetition: how the model was trained without sources.
    """
    wrong, tokens = pool.misallocated_pool, pool.token_count
    warnings = []
    if wrong > tokens:
        warnings.append(
            f"On these queries token counts misallocate less of the pool ({tokens:.1%}) than the paid values "
            f"({wrong:.1%}), which are {token_weight:.0%} token counts already."
        )
    if seeds < MIN_TRUTH_SEEDS and repetition == "replayed":
        warnings.append(
            f"The ground truth is that of {seeds} recorded training(s), with which the estimates were made. How "
            "far they hold for other seeds can be judged only by further recordings."
        )
    elif seeds < MIN_TRUTH_SEEDS:
        warnings.append(
            f"The ground truth comes from {seeds} retraining seed(s), so it is noisy: compare with the ceiling. "
            "Raise evaluation.seeds for a sharper one."
        )
    return warnings


def better_estimate_warning(
    title: str, estimated: float, paid: float, improvement: Figure | None, remedy: str
) -> list[str]:
    """A warning that an estimate alone misallocates less of the pool than what is paid by, beyond the interval.

    Args:
        estimated, paid: the misallocated pool of the estimate, and of the values paid by.
        improvement: see `EvaluationStudy.improvement`.
        remedy: what to set, so that values take the estimate into account.
    """
    if improvement is None or improvement.low <= 0:
        return []
    return [
        f"{title} alone misallocates {estimated:.1%} of the pool, the paid values {paid:.1%}. Over the retraining "
        f"seeds it is better by {improvement.value:.1%} of the pool (95% interval {improvement.low:.1%} to "
        f"{improvement.high:.1%}). {remedy}"
    ]
