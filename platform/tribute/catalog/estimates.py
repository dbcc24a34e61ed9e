"""What values follow from: totals of a batch of queries, losses of real trainings, tokens that can have taught.

Legend: R replicates, K trainings, U units, S sources.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import duckdb
import numpy as np
from numpy.typing import NDArray

from tribute.catalog.runs import simulation_runs
from tribute.config import Project
from tribute.valuation.estimates import MAIN, Estimates
from tribute.valuation.learnt import learnt_tokens
from tribute.valuation.steps import Seeds
from tribute.valuation.terms import LeftOut, Trainings, set_matrix


class MeasuredTraining(NamedTuple):
    """A row of `measurements`; `nats` is NaN where the training diverged, or is not measured yet."""

    step: int
    seed: int
    removed: tuple[str, ...]
    nats: float
    cost: float


def measured_trainings(lake: duckdb.DuckDBPyConnection, retrain_run: str | None) -> list[MeasuredTraining]:
    """All trainings that a valuation's run of real trainings has measured, step by step."""
    rows = lake.execute(
        "select step, seed, removed, coalesce(lost_nats, 'nan'::double), cost from measurements "
        "where retrain_run = $1 order by step, seed, unit_id",
        [retrain_run],
    ).fetchall()
    return [MeasuredTraining(step, seed, tuple(removed), nats, cost) for step, seed, removed, nats, cost in rows]


def measured_on(lake: duckdb.DuckDBPyConnection, attribute_run: str) -> list[MeasuredTraining]:
    """Every training that was read out on a batch of queries, whatever precision was asked for."""
    rows = lake.execute(
        "select seed, any_value(removed), coalesce(any_value(lost_nats), 'nan'::double), max(cost) "
        "from measurements where attribute_run = $1 group by seed, unit_id order by seed, unit_id",
        [attribute_run],
    ).fetchall()
    return [MeasuredTraining(0, seed, tuple(removed), nats, cost) for seed, removed, nats, cost in rows]


def known_trainings(lake: duckdb.DuckDBPyConnection, bank: str, retrain_run: str) -> list[MeasuredTraining]:
    """The trainings of a bank that other valuations have learnt from, to be measured anew as step 0."""
    rows = lake.execute(
        "select seed, any_value(removed), max(cost) from measurements where bank = $1 and retrain_run <> $2 "
        "group by seed, unit_id order by seed, unit_id",
        [bank, retrain_run],
    ).fetchall()
    return [MeasuredTraining(0, seed, tuple(removed), np.nan, cost) for seed, removed, cost in rows]


def trainings_of_units(
    measured: Sequence[MeasuredTraining], source_ids: Sequence[str], member_US: NDArray[np.float64]
) -> Trainings:
    """The trainings that left out whole units, in an order that depends on them alone.

    Trainings that diverged, and those of other groups of sources, are left out.
    """
    removed_KU, seed_K, lost_K = _in_units(measured, source_ids, member_US)
    finite_K = np.isfinite(lost_K)
    return Trainings(removed_KU[finite_K], seed_K[finite_K], lost_K[finite_K]).ordered()


def diverged_trainings(
    measured: Sequence[MeasuredTraining], source_ids: Sequence[str], member_US: NDArray[np.float64]
) -> tuple[LeftOut, ...]:
    """The trainings without whole units that gave no loss: each would diverge again."""
    removed_KU, seed_K, lost_K = _in_units(measured, source_ids, member_US)
    nan_K = np.isnan(lost_K)
    units = [tuple(np.flatnonzero(row_U).tolist()) for row_U in removed_KU[nan_K]]
    return tuple(LeftOut(*each) for each in zip(units, seed_K[nan_K].tolist(), strict=True))


def _in_units(
    measured: Sequence[MeasuredTraining], source_ids: Sequence[str], member_US: NDArray[np.float64]
) -> Trainings:
    """The trainings that left out whole units; losses are NaN where they diverged."""
    position = {source_id: index for index, source_id in enumerate(source_ids)}
    removed = [[position[name] for name in each.removed] for each in measured]
    removed_KS = set_matrix(removed, len(position)).astype(np.float64)
    removed_KU = (removed_KS @ member_US.T == member_US.sum(1)).astype(np.float64)
    whole_K = (removed_KU @ member_US == removed_KS).all(1)
    seed_K = np.array([each.seed for each in measured], dtype=np.int64)
    return Trainings(removed_KU[whole_K], seed_K[whole_K], np.array([each.nats for each in measured])[whole_K])


def replicate_seeds(project: Project, replicates: int) -> tuple[int, ...]:
    """The seeds of so many replicates."""
    return tuple(project.training.seed + replicate for replicate in range(replicates))


def training_seeds(project: Project, measured: Sequence[MeasuredTraining]) -> Seeds:
    """The seeds of the replicates and of earlier trainings, and a new one.

    A seed under which everything diverged is not used again. There is no new one for a loop of the user's own, nor
    where those of evaluations begin.
    """
    training = project.training
    own = replicate_seeds(project, training.replicates)
    trained = tuple(dict.fromkeys([*own, *sorted({each.seed for each in measured if np.isfinite(each.nats)})]))
    new = 1 + max([*own, *(each.seed for each in measured)])
    allowed = not training.recordings and new < training.seed + project.evaluation.first_seed
    return Seeds(trained, (new,) if allowed else ())


def estimates_run(lake: duckdb.DuckDBPyConnection, project: Project, batch_run: str | None) -> str | None:
    """The batch that a period is valued by: its own, or else the latest; None if there is none.

    A period that only the service attributed has no batch of its own. Semivalues need none.
    """
    if project.simulation.notion != "leave_one_out":
        return None
    runs = [run.run_id for run in simulation_runs(project)]
    row = lake.execute(
        "select run_id from estimates join (select distinct run_id, period from queries) using (run_id) "
        "where list_contains($1, simulate_run) group by run_id having bool_or(simulate_run = $2) "
        "order by run_id = $3 desc, count(distinct simulate_run) desc, max(period) desc, run_id limit 1",
        [runs, runs[0], batch_run],
    ).fetchone()
    return row[0] if row else None


def read_estimates(
    lake: duckdb.DuckDBPyConnection,
    project: Project,
    attribute_run: str,
    source_ids: Sequence[str],
    measured: Sequence[MeasuredTraining],
) -> Estimates:
    """The totals of a batch of queries, by every run of the project's simulation and by real trainings."""
    runs = {run.name: run.run_id for run in simulation_runs(project)}
    return batch_estimates(lake, runs, project.training.seed, attribute_run, source_ids, measured)


def batch_estimates(
    lake: duckdb.DuckDBPyConnection,
    runs: Mapping[str, str],
    first_seed: int,
    attribute_run: str,
    source_ids: Sequence[str],
    measured: Sequence[MeasuredTraining],
) -> Estimates:
    """The totals of a batch of queries by some runs of simulation.

    Args:
        runs: run id by name, the main one among them.
        first_seed: of the replicates, which count up from it.
    """
    units = lake.execute(
        "select unit_id, any_value(removed) from simulations where run_id = $1 group by unit_id order by unit_id",
        [runs[MAIN]],
    ).fetchall()
    rows = lake.execute(
        "select name, unit_id, replicate, nats from estimates "
        "where run_id = $1 and list_contains($2, simulate_run)",
        [attribute_run, list(runs.values())],
    ).fetchall()
    position = {unit_id: index for index, (unit_id, _) in enumerate(units)}
    replicates = 1 + max(replicate for _, _, replicate, _ in rows)
    totals = {name: np.full((replicates, len(units)), np.nan) for name in sorted({row[0] for row in rows})}
    for name, unit_id, replicate, nats in rows:
        totals[name][replicate, position[unit_id]] = nats
    member_US = np.array([[source_id in removed for source_id in source_ids] for _, removed in units], dtype=float)
    trainings = trainings_of_units(measured, source_ids, member_US)
    seeds = tuple(range(first_seed, first_seed + replicates))
    [(uses,)] = lake.execute(
        "select sum(weight / inclusion_probability) from queries where run_id = $1", [attribute_run]
    ).fetchall()
    return Estimates(attribute_run, totals, tuple(position), member_US, trainings, seeds, uses or 0.0)


def corpus_learnt_tokens(
    connection: duckdb.DuckDBPyConnection, corpus_run: str, train_run: str
) -> NDArray[np.float64]:
    """The tokens of every source that its text and the trainings let count, [S]: see `valuation.learnt`."""
    tokens = connection.execute(
        "select tokens, eligible_tokens from corpus_sources where run_id = $1 order by source_id",
        [corpus_run],
    ).fetchall()
    tokens_S, eligible_S = np.array(tokens, dtype=np.float64).T
    falls = connection.execute(
        "select loss_before_nats - loss_after_nats from learning where run_id = $1 order by replicate, source_id",
        [train_run],
    ).fetchall()
    fall_RS = np.array(falls, dtype=np.float64).reshape(-1, len(tokens_S)) if falls else None
    return learnt_tokens(tokens_S, eligible_S, fall_RS)
