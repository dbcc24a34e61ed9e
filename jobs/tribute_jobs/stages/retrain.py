"""Stage `retrain`: real trainings without some sources, until the month's values are as precise as asked for.

A recorded loop is replayed without them, a checkpoint is trained further. The full training of a checkpoint's seed
is not counted, as those of replicates are not.

Every batch of trainings is chosen given all earlier ones. The next month of the same trained model reads them out
again on its own queries.

Legend: S sources, P payees, Q queries.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tribute.catalog import (
    MeasuredTraining,
    corpus_learnt_tokens,
    customer_cap,
    diverged_trainings,
    estimates_run,
    known_trainings,
    measured_trainings,
    payees,
    read_estimates,
    retrain_bank,
    retrain_run,
    run_id,
    training_seeds,
    trainings_of_units,
)
from tribute.corpus import QueryTable
from tribute.evaluation import removal_id
from tribute.royalty.document import repetition_words
from tribute.valuation import query_uses
from tribute.valuation.steps import Step, ValuedBatch, diverged_text, next_step, reached_text
from tribute_jobs.compute.measurements import measured
from tribute_jobs.compute.retrains import Retrains
from tribute_jobs.context import Context, StageOutput
from tribute_jobs.stages.lost import make_again
from tribute_storage import SCHEMAS, open_tables

CHUNK = 4
"""Retrains in one batch of trajectories: half of what is chosen at once, so that two workers share it."""


def retrain(context: Context, period: str, attribute_run: str) -> StageOutput:
    """Commit `measurements` step by step, then `precisions`; nothing for values that trainings cannot measure."""
    project = context.project
    retrain_id = retrain_run(project, attribute_run)
    if not project.trains_without_sources:
        return StageOutput(retrain_id, False, "none: trainings do not tell semivalues")
    if not (queries := context.inputs.queries(period)).weights.any():
        return StageOutput(retrain_id, False, f"none: no {'uses' if queries.query_ids else 'queries'} in {period}")
    with open_tables(context.lake.root) as connection:
        if estimates_run(connection, project, attribute_run) != attribute_run:
            return StageOutput(retrain_id, False, "none: all simulations failed")
    new = not context.committed("precisions", retrain_id)
    if new:
        context.reporter.started("retrain", retrain_id)
        MeasuredBatch(context, period, attribute_run, retrain_id).run()
    with open_tables(context.lake.root) as connection:
        [(trainings, expected)] = connection.execute(
            "select max(trainings), arg_max(expected_misallocation, step) from precisions where run_id = $1",
            [retrain_id],
        ).fetchall()
    asked = project.valuation.precision
    missed = asked is not None and expected > asked
    kind = project.training.repetition
    meant = "" if kind == "retrained" else f", {repetition_words(kind).trainings}"
    summary = reached_text(expected, trainings) + meant
    return StageOutput(retrain_id, new, summary + (f", {asked:.1%} asked for: raise the budget" if missed else ""))


class MeasuredBatch:
    """The real trainings of a batch of queries, known and new."""

    def __init__(self, context: Context, period: str, attribute_run: str, retrain_id: str) -> None:
        self.context, self.project = context, context.project
        self.period, self.attribute_run, self.retrain_id = period, attribute_run, retrain_id
        self._bank, self._names = retrain_bank(self.project), context.source_ids()
        self._retrains: Retrains | None = None
        self._queries, self._uses_Q = _read_queries(context, period, attribute_run)
        self._payee_ids, self._split_SP = payees(self.project, period)
        with open_tables(context.lake.root) as connection:
            self._estimates = read_estimates(connection, self.project, attribute_run, self._names, ())
            self._learnt_S = corpus_learnt_tokens(connection, context.runs.corpus_run, context.runs.train_run)

    def run(self) -> None:
        """Measure what is known, then train and measure until the values are as asked for, and commit."""
        with open_tables(self.context.lake.root) as connection:
            found = measured_trainings(connection, self.retrain_id)
            known = known_trainings(connection, self._bank, self.retrain_id)
        if not found and known:
            found = self._measure(known, "retrains known from other months")
        steps = list[Step]()
        while not steps or steps[-1].chosen:
            number = len(steps) + 1
            before = [each for each in found if each.step < number]
            steps.append(self._next(before))
            if steps[-1].chosen and not any(each.step == number for each in found):
                wanted = self._wanted(number, steps[-1])
                found += self._measure(wanted, steps[-1].text(self.project.valuation))
        rows = [
            {"run_id": self.retrain_id, "period": self.period, "attribute_run": self.attribute_run}
            | {"step": number, "trainings": step.trainings, "expected_misallocation": step.expected}
            for number, step in enumerate(steps)
        ]
        table = pa.Table.from_pylist(rows, SCHEMAS["precisions"])
        self.context.lake.append("precisions", self.retrain_id, table)

    def _next(self, known: Sequence[MeasuredTraining]) -> Step:
        self.context.reporter.working("choice of trainings")
        trainings = trainings_of_units(known, self._names, self._estimates.member_US)
        known_now = replace(self._estimates, trainings=trainings)
        diverged = diverged_trainings(known, self._names, self._estimates.member_US)
        batch = ValuedBatch(known_now, self._learnt_S, self._split_SP, self._payee_ids, diverged)
        spent, seeds = sum(each.cost for each in known), training_seeds(self.project, known)
        return next_step(self.project.valuation, batch, spent, seeds)

    def _wanted(self, number: int, step: Step) -> list[MeasuredTraining]:
        """The chosen trainings, not measured yet."""
        wanted = list[MeasuredTraining]()
        for each, cost in step.chosen:
            removed_S = np.flatnonzero(self._estimates.member_US[list(each.removed)].sum(0))
            names = tuple(self._names[s] for s in removed_S)
            wanted.append(MeasuredTraining(number, each.seed, names, np.nan, cost))
        return wanted

    def _measure(self, wanted: Sequence[MeasuredTraining], part: str) -> list[MeasuredTraining]:
        """Train what the bank lacks, read it out, and commit a step of `measurements`."""
        if self._retrains is None:
            make_again(self.context)
            self._retrains = Retrains(self.context, CHUNK)
        found = measured(self._retrains, wanted, self._queries, self._uses_Q, part)
        if diverged := [each for each in found if np.isnan(each.nats)]:
            names = [(each.removed, each.seed) for each in diverged]
            self.context.reporter.warned(diverged_text(names))
        step_run = run_id("measure", self.retrain_id, found[0].step)
        common = {"run_id": step_run, "retrain_run": self.retrain_id, "attribute_run": self.attribute_run}
        rows = [
            common
            | {"bank": self._bank, "unit_id": removal_id(each.removed)}
            | each._asdict()
            | {"lost_nats": each.nats if np.isfinite(each.nats) else None}
            for each in found
        ]
        table = pa.Table.from_pylist(rows, SCHEMAS["measurements"])
        self.context.lake.append("measurements", step_run, table)
        return found


def _read_queries(context: Context, period: str, attribute_run: str) -> tuple[QueryTable, NDArray[np.float64]]:
    """The queries of a batch that were read out exactly, and the uses that each stands for."""
    queries = context.inputs.queries(period)
    with open_tables(context.lake.root) as connection:
        [(chance,)] = connection.execute(
            "select min(readout_probability) from queries where run_id = $1", [attribute_run]
        ).fetchall()
        if chance == 1:
            return queries, query_uses(queries, customer_cap(context.project))
        rows = connection.execute(
            "select distinct query_id from influence where run_id = $1", [attribute_run]
        ).fetchall()
    picked = {query_id for (query_id,) in rows}
    sampled = queries.take([q for q, query_id in enumerate(queries.query_ids) if query_id in picked])
    return sampled, query_uses(sampled, None) / chance
