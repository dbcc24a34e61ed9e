"""The stages of a valuation in order: corpus, train, simulate, attribute, value, settle.

A rerun keeps committed stages and runs the others.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tribute.catalog import (
    Identity,
    calibration,
    compared_estimators,
    period_splits,
    read_book,
    retrain_bank,
    simulation_runs,
)
from tribute.config import Project
from tribute.estimators import build_estimator
from tribute.royalty.exact.calendar import period_days
from tribute.royalty.terms import read_agreements
from tribute.training import build_model
from tribute_jobs import stages
from tribute_jobs.context import Context, StageOutput, open_context
from tribute_jobs.period.alarms import alarm_limits
from tribute_jobs.period.sequence import require_order
from tribute_jobs.period.terms import customer_fees, period_policy, period_pools, register_policy
from tribute_jobs.progress import Reporter

STAGES = ("corpus", "train", "simulate", "attribute", "value", "settle")
AFTER = {"evaluate": "value", "close": "value", "restate": "value"}
"""Stages outside the line, each with its own command, and the stage that they follow."""

PAID = ("value", "settle", *AFTER)


@dataclass(frozen=True)
class Outcome:
    """The output of each stage of a run, in order."""

    outputs: dict[str, StageOutput]

    @property
    def changed(self) -> bool:
        """Whether this run committed anything."""
        return any(output.new for output in self.outputs.values())


def run(project: Project, period: str, reporter: Reporter, last: str = "settle", reason: str = "") -> Outcome:
    """Run the stages up to `last` for a period (`YYYY-MM`). `last` is in `STAGES` or in `AFTER`.

    Args:
        reason: why a closed period is restated.

    Raises:
        TributeError: bad input, with the remedy; nothing is half-written.
    """
    paid_period = period if last in PAID else None
    _check(project, period, paid_period)
    if last in ("settle", "close"):
        require_order(project, period, last)
    if last == "evaluate":
        retrain_bank(project)  # refuses a training that cannot be repeated, before it is simulated
    outputs: dict[str, StageOutput] = {}
    with open_context(project, reporter) as context:
        wanted = STAGES[: STAGES.index(AFTER.get(last, last)) + 1]
        _explain(context, (*wanted, "calibrate") if "simulate" in wanted else wanted)
        for stage in (*wanted, last) if last in AFTER else wanted:
            if stage == "corpus":
                outputs[stage] = stages.corpus(context, paid_period)
                if paid_period is not None:
                    register_policy(project, context.lake, paid_period)
            else:
                outputs[stage] = _run_stage(stage, context, period, outputs, reason)
            reporter.finished(stage, *outputs[stage])
            _remember(context, stage)
    return Outcome(outputs)


def _explain(context: Context, wanted: Sequence[str]) -> None:
    """Say which stages run again because something changed since the last run, and which are kept."""
    kept, again = list[str](), dict[str, str]()
    for name, (identity, done) in _identities(context).items():
        if done:
            kept.append(name)
        elif name in wanted and (why := context.last_run.why(name, identity)):
            again[name] = why
    context.reporter.planned(kept, again)


def _remember(context: Context, stage: str) -> None:
    for name, (identity, done) in _identities(context).items():
        if done and stage in (name, "simulate"):
            context.last_run.remember(name, identity)


def _identities(context: Context) -> dict[str, tuple[Identity, bool]]:
    """What does not depend on the period, and whether it is committed."""
    runs, calibrated = context.runs, calibration(context.project)
    found = {
        "corpus": (runs.corpus, context.committed("corpus_sources", runs.corpus_run)),
        "train": (runs.train, context.committed("trajectories", runs.train_run)),
        "simulate": (runs.simulate, context.committed("simulations", runs.simulate_run)),
    }
    if calibrated is not None:
        further = simulation_runs(context.project)[1:]
        found["calibrate"] = calibrated, all(context.committed("simulations", run.run_id) for run in further)
    return found


def _check(project: Project, period: str, paid_period: str | None) -> None:
    """Check the settings before hours of work, not after."""
    period_days(period)
    period_pools(project), period_policy(project), customer_fees(project)
    alarm_limits(project.money.alarms)
    if project.rights.agreements is not None:
        read_agreements(project.rights.agreements)
    build_model(project.task, project.training)
    for settings in (project.simulation, *project.further_simulations()):
        if settings.estimated:
            build_estimator(settings.mode, settings.options)
    compared_estimators(project)
    if paid_period is not None and project.rights.sources is not None:
        book = read_book(project, {})
        period_splits(book, paid_period, {right.source_id for right in book.rights})


def _run_stage(
    stage: str, context: Context, period: str, before: dict[str, StageOutput], reason: str
) -> StageOutput:
    if stage == "attribute":
        return stages.attribute(context, period)
    if stage == "value":
        return stages.value(context, period, before["attribute"].run_id)
    if stage == "restate":
        return stages.restate(context, period, before["value"].run_id, reason)
    if stage in ("evaluate", "settle", "close"):
        valued = {"evaluate": stages.evaluate, "settle": stages.settle, "close": stages.close}
        return valued[stage](context, period, before["value"].run_id)
    return stages.train(context) if stage == "train" else stages.simulate(context)
