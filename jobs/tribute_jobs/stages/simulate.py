"""Stage `simulate`: how the parameters of every replicate change without each source.

Besides the main simulation it runs the further estimates, which trainings weigh with it.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from typing import Any

import pyarrow as pa

from tribute.catalog import SimulationRun, simulated_responses, simulation_runs
from tribute.cluster import SimulateJob
from tribute.config import Project, SimulationSettings
from tribute.errors import TributeError
from tribute.simulation import Unit, drawn_units, leave_one_out_units, relative_change
from tribute.tasks import Scope
from tribute_jobs.compute.estimators import EstimatorJobs
from tribute_jobs.compute.grouping import group_jobs
from tribute_jobs.compute.simulation import Rows, SimulationJobs
from tribute_jobs.context import Context, StageOutput
from tribute_jobs.stages.train import make_trainings_again
from tribute_storage import SCHEMAS, open_tables

UNSMOOTH = 0.5
"""Relative difference between tangents and real perturbations above which tangents carry a warning."""


def simulate(context: Context) -> StageOutput:
    """Simulate all units in all replicates on the cluster and commit `simulations`."""
    simulate_run = context.runs.simulate_run
    covered = ""
    missing = [run for run in simulation_runs(context.project) if not context.committed("simulations", run.run_id)]
    if missing:
        make_trainings_again(context)
        context.reporter.started("simulate", simulate_run)
        simulations = Simulations(context)
        simulations.run(missing)
        covered = simulations.coverage()
    with open_tables(context.lake.root, "simulations") as connection:
        [(responses, failed, mode, steps, smoothness)] = connection.execute(
            "select count(*), list(unit_id || ' (replicate ' || replicate || ', step ' || failed_step || ')' "
            "order by unit_id, replicate) filter (failed_step is not null), any_value(mode), "
            "any_value(horizon_steps), avg(smoothness) from simulations where run_id = $1",
            [simulate_run],
        ).fetchall()
    if failed:
        context.reporter.warned(
            f"{len(failed)} of {responses} simulations diverged and were stopped: {', '.join(failed[:10])}. Their "
            "sources are valued by other replicates, or by their tokens"
        )
    if mode == "tangent" and smoothness is not None and smoothness > UNSMOOTH:
        context.reporter.warned(
            f"Tangents differ from real perturbations by {smoothness:.0%} on average: this training is not smooth "
            "enough for them. Use simulation.mode: paired"
        )
    summary = f"{responses} simulations, mode {mode}" + (f", {steps} steps each" if steps else "")
    return StageOutput(simulate_run, bool(missing), "; ".join(filter(None, (summary, covered))))


class Simulations:
    """Runs the missing simulations of a project and commits their rows."""

    def __init__(self, context: Context) -> None:
        self.context, self._jobs = context, SimulationJobs(context)
        self._kept: set[str] | None = None
        main = context.project.simulation
        fewer = main.notion == "leave_one_out" and main.groups < len(context.source_ids())
        self._grouped = fewer and not main.estimated

    def run(self, missing: Sequence[SimulationRun]) -> None:
        """Simulate the missing runs. The main run comes first if the others need its groups."""
        main = [run for run in missing if self._grouped and run.name == "simulated"]
        for runs in filter(None, (main, [run for run in missing if run not in main])):
            simulated = [run for run in runs if not run.settings.estimated]
            for run in runs:
                if run.settings.estimated:
                    self.estimate([run], self._units(run))
            planned = [(run, job) for run in simulated for job in self._plan(run)]
            rows = self._jobs.run([job for _, job in planned])
            for run in simulated:
                done = [(job, part) for (owner, job), part in zip(planned, rows, strict=True) if owner is run]
                self._commit(run, done)

    def coverage(self) -> str:
        """Which of the model's parameters respond; empty if all do, or an estimator is used."""
        settings = self.context.project.simulation
        if settings.estimated:
            return ""
        return Scope(self._jobs.recipe(self._jobs.replicates[0]).task, settings.scope).coverage

    def estimate(
        self, runs: Sequence[SimulationRun], units: Sequence[Unit], *, tolerant: bool = False
    ) -> dict[str, TributeError]:
        """Fit estimators in place of a simulation, and commit their units.

        Returns:
            If tolerant, the errors of the estimators that failed, by run id.
        """
        gathered = EstimatorJobs(self.context).gather(runs, units, tolerant=tolerant)
        failed = dict[str, TributeError]()
        for run, done in zip(runs, gathered, strict=True):
            if isinstance(done, TributeError):
                failed[run.run_id] = done
                continue
            rows = [row | {"seed": job.replicate.seed, "horizon_steps": 0} for job, rows in done for row in rows]
            self._append(run, rows)
        return failed

    def _plan(self, run: SimulationRun) -> list[SimulateJob]:
        if run.name == "simulated" and self._grouped:
            jobs, self._kept = group_jobs(self._jobs, run)
            units = [
                unit for job in jobs if job.replicate == 0 for unit in job.units if unit.unit_id in self._kept
            ]
        else:
            units = self._units(run)
            jobs = self._jobs.plan(run, units, "chunk")
        checked = run.settings.smoothness_sources
        if checked:
            settings, largest = run.settings, sorted(units, key=self._tokens, reverse=True)[:checked]
            size = settings.weight if settings.mode == "tangent" else settings.epsilon / 2
            paired = settings.model_copy(update={"mode": "paired", "epsilon": size})
            jobs += self._jobs.plan(replace(run, settings=paired), largest, "smoothness")
        return jobs

    def _units(self, run: SimulationRun) -> list[Unit]:
        project, names = self.context.project, self.context.source_ids()
        if run.name == "simulated":
            return drawn_units(run.settings, names, project.training.seed)
        units = leave_one_out_units(names)
        if self._grouped:
            units = [each.unit for each in simulated_responses(project, self.context.runs.simulate_run)]
        return units

    def _tokens(self, unit: Unit) -> int:
        sources = self.context.manifest().sources
        return sum(sources[index].tokens for index in unit.removed)

    def _commit(self, run: SimulationRun, done: Sequence[tuple[SimulateJob, Rows]]) -> None:
        kept = self._kept if run.name == "simulated" else None
        measured = [
            (job, row)
            for job, rows in done
            for row in rows
            if not job.name.startswith("smoothness") and (kept is None or row["unit_id"] in kept)
        ]
        changes = smoothness([row for _, row in measured], done)
        rows = [
            row
            | {"seed": job.seed, "horizon_steps": job.steps}
            | {"smoothness": changes.get((row["unit_id"], row["replicate"]))}
            for job, row in measured
        ]
        self._append(run, rows)

    def _append(self, run: SimulationRun, rows: Rows) -> None:
        settings = run.settings
        common = {
            "run_id": run.run_id,
            "train_run": self.context.runs.train_run,
            **settings.model_dump(include={"mode", "base", "notion", "scope", "horizon", "weight", "epsilon"}),
            "settings_json": json.dumps(reproduction(self.context.project, settings), sort_keys=True),
        }
        if settings.estimated:
            common["horizon"] = 0.0
        content = [
            row | common | {"artifact_uri": row["artifact_uri"] and self.context.uri(row["artifact_uri"])}
            for row in rows
        ]
        self.context.lake.append("simulations", run.run_id, pa.Table.from_pylist(content, SCHEMAS["simulations"]))


def reproduction(project: Project, settings: SimulationSettings) -> dict[str, object]:
    """The settings that a response can be recomputed from, given the corpus that its lineage leads to."""
    return {
        "task": project.task.model_dump(mode="json"),
        "training": project.training.model_dump(mode="json", exclude={"recordings", "checkpoint"}),
        "simulation": settings.model_dump(mode="json"),
        "software": {name: version(name) for name in ("tribute", "torch", "numpy")},
    }


def smoothness(
    measured: Sequence[dict[str, Any]], done: Sequence[tuple[SimulateJob, Rows]]
) -> dict[tuple[str, int], float]:
    """|r_at_another_size - r| / |r| for every unit and replicate that was simulated at two sizes.

    Near 0 the response is proportional to the weight taken away. Near 1 a derivative does not predict removal.
    """
    uris = {(row["unit_id"], row["replicate"]): row["artifact_uri"] for row in measured}
    changes = {}
    for job, rows in done:
        for row in rows if job.name.startswith("smoothness") else []:
            key = (row["unit_id"], row["replicate"])
            if uris.get(key) and row["artifact_uri"]:
                changes[key] = relative_change(uris[key], row["artifact_uri"])
    return changes
