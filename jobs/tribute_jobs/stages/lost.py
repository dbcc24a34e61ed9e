"""Artifacts that the lake records and the working folder has lost: made again, to the same bytes."""

from tribute.catalog import SimulationRun, simulated_responses, simulation_runs
from tribute.estimators import FITTED
from tribute_jobs.compute.recorded import Recorded, lost_files, require_same
from tribute_jobs.context import Context
from tribute_jobs.stages.simulate import Simulations
from tribute_jobs.stages.train import make_trainings_again


def make_again(context: Context) -> bool:
    """Train and simulate again whatever lacks a file, and compare it with the lake; whether there was any.

    A damaged file counts as there: it is removed by hand, or by `tribute doctor --repair`.

    Raises:
        DamagedFile: what was made differs from what the lake records.
    """
    trainings, lost = make_trainings_again(context), dict[str, tuple[SimulationRun, Recorded]]()
    for run in simulation_runs(context.project):
        files = lost_files(_responses(context, run))
        if files or _fits_lost(context, run):
            lost[run.run_id] = run, files
    if lost:
        count, workdir = sum(len(files) for _, files in lost.values()), context.project.workdir
        context.reporter.warned(f"Files of simulations are gone from {workdir} ({count:,}): made again")
        context.reporter.started("simulate", context.runs.simulate_run)
        Simulations(context).run([run for run, _ in lost.values()])
        require_same({path: sha256 for _, files in lost.values() for path, sha256 in files.items()})
    return bool(lost) or trainings


def _responses(context: Context, run: SimulationRun) -> Recorded:
    if not context.committed("simulations", run.run_id):
        return {}
    responses = simulated_responses(context.project, run.run_id)
    return {file.path: file.sha256 for response in responses for file in response.files if file}


def _fits_lost(context: Context, run: SimulationRun) -> bool:
    """Whether an estimator lacks the fit of a replicate."""
    folders = {path.parent for path in _responses(context, run)} if run.settings.estimated else set()
    return any(not (folder / FITTED).is_file() for folder in folders)
