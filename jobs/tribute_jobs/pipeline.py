"""The stages of a valuation in order: corpus, train, simulate, attribute, retrain, value, settle.

Everything that they read is checked first. A rerun keeps committed stages and runs the others.
"""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

from tribute.catalog import Identity, further_estimates, simulation_runs
from tribute.config import Project
from tribute.royalty.exact.calendar import period_days
from tribute_jobs import stages
from tribute_jobs.checks import PAID, QUERIED, check_project
from tribute_jobs.context import Context, Inputs, StageOutput, open_context, staying
from tribute_jobs.faults import stage_at_work
from tribute_jobs.period.terms import register_policy
from tribute_jobs.progress import Reporter

STAGES = ("corpus", "train", "simulate", "attribute", "retrain", "value", "settle")
AFTER = {"evaluate": "value", "close": "value", "restate": "value"}
"""Stages outside the line, each with its own command, and the stage that they follow."""


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
        TributeError: bad input, all of it with the remedies, before anything is written.
    """
    period_days(period)  # refuses a text that is no month
    inputs, paid_period = Inputs(project, reporter.advanced), period if last in PAID else None
    with staying(project.workdir), closing(reporter):
        reporter.started("check", "")
        month = period if last in QUERIED else None
        checklist = check_project(inputs, month, last, again=False, on_check=reporter.working)
    checklist.refuse(project.name)
    for warning in checklist.warnings:
        reporter.warned(warning)
    outputs: dict[str, StageOutput] = {}
    with open_context(project, reporter, inputs) as context:
        wanted = STAGES[: STAGES.index(AFTER.get(last, last)) + 1]
        _explain(context, (*wanted, "estimates") if "simulate" in wanted else wanted)
        for stage in (*wanted, last) if last in AFTER else wanted:
            with stage_at_work(stage):
                outputs[stage] = _run_stage(stage, context, period, outputs, reason)
                if stage == "corpus" and paid_period is not None:
                    register_policy(project, context.lake, paid_period)
            if stage == last and last in ("train", "simulate") and stages.make_again(context):
                outputs[stage] = outputs[stage]._replace(new=True)
            context.reporter.finished(stage, *outputs[stage])
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
    runs, estimates = context.runs, further_estimates(context.project)
    found = {
        "corpus": (runs.corpus, context.committed("corpus_sources", runs.corpus_run)),
        "train": (runs.train, context.committed("trajectories", runs.train_run)),
        "simulate": (runs.simulate, context.committed("simulations", runs.simulate_run)),
    }
    if estimates is not None:
        further = simulation_runs(context.project)[1:]
        found["estimates"] = estimates, all(context.committed("simulations", run.run_id) for run in further)
    return found


def _run_stage(
    stage: str, context: Context, period: str, before: dict[str, StageOutput], reason: str
) -> StageOutput:
    if stage == "corpus":
        return stages.corpus(context)
    if stage == "attribute":
        return stages.attribute(context, period)
    if stage in ("retrain", "value"):
        valuing = {"retrain": stages.retrain, "value": stages.value}
        return valuing[stage](context, period, before["attribute"].run_id)
    if stage == "restate":
        return stages.restate(context, period, before["value"].run_id, reason)
    if stage in ("evaluate", "settle", "close"):
        valued = {"evaluate": stages.evaluate, "settle": stages.settle, "close": stages.close}
        return valued[stage](context, period, before["value"].run_id)
    return stages.train(context) if stage == "train" else stages.simulate(context)
