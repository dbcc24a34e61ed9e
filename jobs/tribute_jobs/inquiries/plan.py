"""What precision a valuation will have after some trainings, before any of them is run.

Legend: S sources, P payees.
"""

import json
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tribute.catalog import (
    MeasuredTraining,
    attribution,
    corpus_learnt_tokens,
    diverged_trainings,
    lineage,
    measured_on,
    period_splits,
    read_book,
    read_estimates,
    simulation_runs,
    training_seeds,
)
from tribute.config import Project
from tribute.errors import ValuationError
from tribute.simulation import Fit, fit
from tribute.tasks import Scope
from tribute.valuation import Estimates
from tribute.valuation.rows import publisher_parts
from tribute.valuation.steps import ValuedBatch, predicted
from tribute_jobs.checks.space import memory_text
from tribute_jobs.checks.subject import CheckedSource, Subject
from tribute_jobs.context import Inputs
from tribute_jobs.printing import Heading, print_table, terminal
from tribute_storage import Lake, open_tables

COUNTS = (0, 5, 10, 20, 40, 80)
"""Numbers of further trainings whose precision is printed."""


class Plan(NamedTuple):
    """Expected misallocated pool by number of further trainings, up to the largest of `COUNTS`.

    ``known``: trainings that the month's uses were read out on already, at their cost. ``simulated``: whether the
    cheap estimates are there; without them the prediction rests on token counts alone. ``scope``: which of the
    model's parameters respond in simulations; empty if all do. ``memory``: what a worker of the simulation takes;
    None: nothing is simulated.
    """

    expected: dict[int, float]
    known: float
    simulated: bool
    scope: str
    memory: Fit | None

    def needed(self, precision: float | None) -> int | None:
        """Further trainings until a precision is reached, if that is foreseen."""
        enough = [count for count, each in self.expected.items() if precision is not None and each <= precision]
        return min(enough, default=None)


def print_plan(project: Project, period: str, as_json: bool) -> None:
    """Print the expected misallocated pool and the cost of 0 to 80 further trainings."""
    plan, asked = valuation_plan(project, period), project.valuation.precision
    needed, steps = plan.needed(asked), {count: plan.expected[count] for count in COUNTS}
    if as_json:
        rows = [
            {"trainings": count, "cost": plan.known + count, "expected_misallocation": expected}
            for count, expected in steps.items()
        ]
        told = {"period": period, "simulated": plan.simulated, "known_trainings": plan.known, "scope": plan.scope}
        told["memory"] = None if plan.memory is None else _memory(plan.memory)
        print(json.dumps(told | {"precision": asked, "needed": needed, "plan": rows}, indent=2))
        return
    console = terminal()
    columns = (Heading("further trainings"), Heading("in all"), Heading("expected in the wrong place"))
    cells = [[str(count), f"{plan.known + count:.0f}", f"{each:.1%}"] for count, each in steps.items()]
    print_table(console, columns, cells, f"{project.name}, {period}: part of the pool")
    if asked is not None:
        more = f"more than {max(COUNTS)}" if needed is None else f"about {needed}"
        console.print(f"  {asked:.1%} asked for: {more} further trainings.")
    if plan.scope:
        console.print(f"  Simulations have {plan.scope}.", soft_wrap=True)
    if plan.memory is not None:
        console.print(f"  Simulations take {memory_text(plan.memory)}.", soft_wrap=True)
    if not plan.simulated:
        console.print(
            "  The month is not attributed yet, so this rests on token counts alone. To predict from the "
            f"simulation too, run: tribute attribute PROJECT.yaml --period {period}",
            soft_wrap=True,
        )


def _memory(fitting: Fit) -> dict[str, float]:
    return {"sources_at_once": fitting.chunk, "gib": fitting.gib, "least_gib": fitting.least_gib}


def valuation_plan(project: Project, period: str) -> Plan:
    """Predict the precision of a month's valuation from what is known of it.

    Raises:
        ValuationError: trainings cannot measure these values.
        ConfigError: not even one trajectory fits into `simulation.memory_gib`; says what it takes.
        CorpusError: the corpus or the month's queries cannot be read.
        RightsError: the sources file does not cover the corpus or the period.
    """
    if not project.trains_without_sources:
        raise ValuationError(
            "Trainings without sources do not measure semivalues, so there is nothing to plan. Set "
            "simulation.notion to leave_one_out"
        )
    inputs = Inputs(project)
    subject = Subject(inputs, period, "value", again=False)
    sources = subject.sources
    if sources is None:
        inputs.corpus()  # raises what is wrong with it
        raise ValuationError("The corpus cannot be read. Look at: tribute check PROJECT.yaml")
    tokens_S = np.array([each.tokens for each in sources], dtype=np.float64)  # before the training: all of them
    names, (payee_ids, split_SP) = tuple(each.source_id for each in sources), _payees(project, period, sources)
    estimates, measured = Estimates.of_tokens(names), list[MeasuredTraining]()
    attribute_run = attribution(project, inputs.queries(period), period).run_id
    lake = Lake(project.lake_root)
    committed = [lake.committed("simulations", run.run_id) for run in simulation_runs(project)]
    simulated = all(committed) and lake.committed("queries", attribute_run)
    if simulated:
        with open_tables(project.lake_root) as connection:
            measured = measured_on(connection, attribute_run)
            estimates = read_estimates(connection, project, attribute_run, names, measured)
            tokens_S = corpus_learnt_tokens(connection, lineage(project).corpus_run, lineage(project).train_run)
    diverged = diverged_trainings(measured, names, estimates.member_US)
    batch = ValuedBatch(estimates, tokens_S, split_SP, payee_ids, diverged)
    seeds, counts = training_seeds(project, measured), range(max(COUNTS) + 1)
    known = sum(each.cost for each in measured)
    expected, scope, memory = predicted(project.valuation, batch, seeds, counts), "", None
    if not project.simulation.estimated:
        scope = Scope(subject.model, project.simulation.scope).coverage
        memory = fit(subject.recipe(), project.simulation)
    return Plan(expected, known, simulated, scope, memory)


def _payees(
    project: Project, period: str, sources: list[CheckedSource]
) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """Publishers, and their parts of the sources, [S, P]."""
    source_ids = [each.source_id for each in sources]
    book = read_book(project, {each.source_id: each.publisher for each in sources})
    return publisher_parts(period_splits(book, period, source_ids), source_ids)
