"""How far to trust a study, measured by real retraining.

Legend: Q scored queries, U units (one per source), S sources.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tribute.config import EvaluationSettings, SimulationSettings
from tribute.corpus import QueryTable
from tribute.errors import ConfigError
from tribute.evaluation import (
    EvaluationStudy,
    GroundTruth,
    RemovalPlan,
    Scores,
    ValueScores,
    judging_seeds,
    removal,
    unseen,
)
from tribute.files.tensors import read_tensors
from tribute.readout import QueryRows
from tribute.royalty.document import Repetition, repetition_words
from tribute.study.attribution import attributed
from tribute.study.plots import bars
from tribute.study.retraining import full_training, retraining, transferred
from tribute.study.runs import FULL_FILE, simulated_in
from tribute.study.table import Result, Row, percent
from tribute.training import distance_to_end
from tribute.valuation import query_groups, query_uses

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from tribute.study.model import StudiedModel

MIN_QUERIES = 20
MEASURES = {
    "LDS, halves, other seed": "lds_half_other_seed",
    "LDS, halves, same seed": "lds_half_same_seed",
}


@dataclass(frozen=True, repr=False)
class EvaluationReport(Result):
    """How far attributions and values are from real retraining, on queries that nothing was tuned on.

    Args:
        method: what was evaluated.
        source_ids: [S].
        scores: of the influences: LDS, leave-one-out rank correlation, misallocated pool.
        value_scores: of the values: misallocated pool; also of token counts, equal shares and retraining itself.
        retrains: real trainings behind the scores.
        repetition: how they were trained without sources.
        drift: how far a replay without removal ends from its recording, as a part of the way; None: not measured.

    >>> report = study.evaluate(queries)
    >>> 0 <= report.misallocated_pool <= 1
    True
    >>> report.rows()[0]["measure"]
    'misallocated pool'
    """

    method: str
    source_ids: tuple[str, ...]
    scores: Scores
    value_scores: ValueScores
    retrains: int
    queries: int
    repetition: Repetition = "retrained"
    drift: float | None = None

    @property
    def misallocated_pool(self) -> float:
        """Part of the pool that the values send to another source than retraining does, 0 to 1."""
        return self.value_scores.pool.misallocated_pool

    @property
    def title(self) -> str:
        """What was evaluated, on how much retraining, and of which kind."""
        ends = (
            "" if self.drift is None else f"; replays end within {self.drift:.1g} of the way of their recordings"
        )
        trainings = f"{self.retrains} {repetition_words(self.repetition).trainings}"
        return f"{self.method} against {trainings}, {self.queries} scored queries{ends}"

    def rows(self) -> list[Row]:
        """A row per measure: value, 95% interval if it has one, values of token counts and retraining."""
        pool, figures = self.value_scores.pool, {"leave-one-out correlation": self.scores.leave_source_out}
        figures |= {name: self.scores.lds.get(key) for name, key in MEASURES.items()}
        compared = {"tokens": pool.token_count, "retraining": pool.ceiling}
        rows: list[Row] = [
            {"measure": "misallocated pool", "value": self.misallocated_pool, "low": None, "high": None} | compared
        ]
        for name, figure in figures.items():
            if figure is not None:
                rows.append({"measure": name, **figure._asdict(), "tokens": None, "retraining": None})
        coverage = self.value_scores.coverage_95
        return [
            *rows,
            {"measure": "95% intervals that hold", "value": coverage, **dict.fromkeys(("low", "high", *compared))},
        ]

    def cells(self) -> list[dict[str, str]]:
        """The rows as people read them."""
        return [
            {
                name: ""
                if value is None
                else value
                if isinstance(value, str)
                else _written(str(row["measure"]), value)
                for name, value in row.items()
            }
            for row in self.rows()
        ]

    def plot(self) -> "Axes":
        """A bar per source: its share with its interval, next to its share by retraining."""
        rows = self.value_scores.intervals
        value, low, high, truth = (
            [100 * getattr(row, name) for row in rows] for name in ("value", "low", "high", "truth")
        )
        labels = ("percent of the pool", "share, 95% interval", "by retraining")
        return bars(self.source_ids, value, low, high, truth, labels, self.title)


def evaluated(
    study: "StudiedModel", queries: QueryTable, method: SimulationSettings, settings: EvaluationSettings
) -> EvaluationReport:
    """Learn values on one half of the queries, score the other; raises what `Study.evaluate` does."""
    _check(queries, method)
    even = query_groups(queries.query_ids) % 2 == 0
    tuning, scored = (
        attributed(study, queries.take(np.flatnonzero(half).tolist()), method) for half in (even, ~even)
    )
    sources, (seed, *others) = len(study.source_ids), judging_seeds(study.training, settings)
    own = study.training.repetition == "replayed"
    influence_QU, tokens_S = np.nan_to_num(scored.influence_QS), np.array(study.tokens, dtype=np.float64)
    plan = RemovalPlan.draw(influence_QU, tokens_S, settings.subsets, 0, seed)
    halves = {"half": plan.random["half"]}
    seeds, judges = dict(zip(("same", "other"), [seed, *others], strict=False)), [seed, *others] if own else others
    lost = {("half", key): _lost(study, of_seed, halves["half"], scored.queries) for key, of_seed in seeds.items()}
    singles = [_lost(study, each, plan.singles, scored.queries) for each in judges]
    truth = GroundTruth.from_retrains(singles, halves, lost, own=own)
    judge = EvaluationStudy(truth, query_uses(scored.queries, None), np.eye(sources), settings.resamples, seed)
    values = transferred(study, tuning, scored)
    others_RQS = unseen(scored.influence_RQS)
    unseen_QU = np.nan_to_num(replace(scored, influence_RQS=others_RQS).influence_QS)
    return EvaluationReport(
        scored.method,
        study.source_ids,
        judge.score(influence_QU, unseen_QU),
        judge.score_values(values, tokens_S, np.eye(sources), study.source_ids),
        sources * len(judges) + len(seeds) * len(halves["half"]),
        len(scored.query_ids),
        study.training.repetition,
        _drift(study),
    )


def _drift(study: "StudiedModel") -> float | None:
    """How far replays without removal end from their recordings, at most; None: nothing was replayed."""
    found = list[float | None]()
    for each, recording in zip(study.replicates, study.training.recordings, strict=False):
        recipe = replace(study.runs.recipe, seed=each.seed, recording=recording)
        folder = simulated_in(study.runs.folder, retraining(study)) / f"seed-{each.seed}"
        found.append(distance_to_end(recipe, read_tensors(folder / FULL_FILE, recipe.device)))
    return max((drift for drift in found if drift is not None), default=None)


def _lost(
    study: "StudiedModel", seed: int, sets: Sequence[tuple[int, ...]], queries: QueryTable
) -> NDArray[np.float64]:
    """Measurement of the full training under a seed minus that without each set, [Q, M] nats; NaN: it diverged."""
    settings, units = retraining(study), [removal(sources, study.source_ids) for sources in sets]
    replicates = [full_training(study, seed)]
    found = {each.unit.unit_id: each for each in study.runs.simulate(replicates, settings, units)}
    ordered = [found[unit.unit_id] for unit in units]
    influence_RQM, _ = study.runs.influence(replicates, settings, ordered, QueryRows.of(queries), study.readout)
    return influence_RQM[0].astype(np.float64)


def _check(queries: QueryTable, method: SimulationSettings) -> None:
    if len(queries.query_ids) < MIN_QUERIES:
        raise ConfigError(
            f"{len(queries.query_ids)} queries are too few to evaluate on. Give at least {MIN_QUERIES}: half "
            "determine the values, the others are scored"
        )
    if method.notion != "leave_one_out":
        raise ConfigError(f"Evaluation scores leave_one_out values, not {method.notion}. Set simulation.notion")


def _written(measure: str, value: object) -> str:
    assert isinstance(value, float)
    return f"{value:.2f}" if "LDS" in measure or "correlation" in measure else percent(value)
