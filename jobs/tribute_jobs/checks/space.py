"""Checks that memory and disk suffice, by a prediction of what the run holds and writes.

Legend: P parameters, S sources.
"""

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch

from tribute.catalog import SimulationRun, retrain_bank, simulation_runs
from tribute.config import SimulationSettings
from tribute.errors import ConfigError
from tribute.simulation import GIB, Fit, drawn_units, fit
from tribute.tasks import Scope
from tribute.training import checkpoint_steps
from tribute_jobs.checks.checklist import Passed
from tribute_jobs.checks.subject import Subject

TIGHT = 0.8
"""Part of the free room from which a warning is due."""


def check_memory(subject: Subject) -> Passed | None:
    """That a worker can hold the trajectories of one unit, within `memory_gib` and within this machine."""
    project = subject.project
    every = [run.settings for run in _to_simulate(subject)]
    if subject.runs is not None and not subject.trained and _most_retrains(subject):
        every.append(project.simulation.retraining(project.training.repetition))
    simulated = list({(e.mode, e.scope, e.memory_gib): e for e in every}.values())
    if not simulated:
        return None
    recipe = subject.recipe()
    fitting = [fit(recipe, settings) for settings in simulated]
    chunk, alone = min(each.chunk for each in fitting), any(each.alone for each in fitting)
    taken, one = (max(sizes) for sizes in zip(*((each.bytes, each.one) for each in fitting), strict=True))
    largest = Fit(chunk, alone, taken, one, fitting[0].frozen)
    text = memory_text(largest)
    if project.cluster.address != "local" or torch.cuda.is_available():
        return Passed(text)
    workers, allowed = project.cluster.workers, project.simulation.memory_gib
    return enough_memory(text, largest.least_gib, workers, allowed, memory_gib())


def memory_text(fitting: Fit) -> str:
    """How many sources each worker simulates at once, and in how much memory."""
    text = f"{fitting.chunk} sources at once in each worker, {fitting.gib:.2f} GiB; "
    text += f"{fitting.least_gib:.2f} GiB at least"
    return f"{text}; trajectories run one after the other" if fitting.alone else text


def enough_memory(text: str, needed: float, workers: int, allowed: float, memory: float) -> Passed:
    """Check that memory suffices, and warn if it may not for all workers; all in GiB.

    Args:
        needed: by one worker, at least.
        allowed: to each worker.
        memory: of this machine.

    Raises:
        ConfigError: not even one worker fits.
    """
    if needed > memory:
        raise ConfigError(
            f"A trajectory and its base take {needed:.1f} GiB, and this machine has {memory:.1f} GiB of memory. "
            "Narrow simulation.scope, raise training.accumulation, or use a larger machine"
        )
    most = max(needed, allowed) * workers
    warning = (
        f"{workers} workers may take {most:.1f} GiB of memory together, and this machine has {memory:.1f} GiB. "
        "Lower cluster.workers or simulation.memory_gib"
    )
    return Passed(text, (warning,) if most > memory else ())


def check_disk(subject: Subject) -> Passed | None:
    """That the checkpoints and responses of the run fit on the disk of the working folder."""
    if subject.runs is None or (subject.trained and subject.snapshot is not None):
        return None
    sizes, workdir = dict(_sizes(subject)), subject.project.workdir
    existing = next(folder for folder in (workdir, *workdir.absolute().parents) if folder.is_dir())
    return enough_disk(sizes, _snapshot_bytes(subject), shutil.disk_usage(existing).free, existing)


def enough_disk(sizes: Mapping[str, int], compressed: int, free: int, folder: Path) -> Passed:
    """Check that the disk has room, and warn if it will be nearly full.

    Args:
        sizes: bytes that will be written, by what.
        compressed: further bytes, which are compressed before they are written.

    Raises:
        ConfigError: the sizes exceed the free room.
    """
    needed, parts = sum(sizes.values()), ", ".join(f"{_gib(size)} of {name}" for name, size in sizes.items())
    if needed > free:
        raise ConfigError(
            f"{folder} has {_gib(free)} free, and this run writes {_gib(needed)}: {parts}. Free some, set workdir "
            "to a folder on another disk, or lower training.replicates"
        )
    tight = needed + compressed > TIGHT * free
    warning = f"The disk will be nearly full: {_gib(needed + compressed)} of {_gib(free)} in {folder}"
    return Passed(f"{_gib(needed)} to write, {_gib(free)} free", (warning,) if tight else ())


def _sizes(subject: Subject) -> Iterator[tuple[str, int]]:
    """Bytes of the files that are still to be written, by kind."""
    project, recipe, runs = subject.project, subject.recipe(), subject.runs
    assert runs is not None
    vector, replicates = recipe.task.dtype.itemsize, project.training.replicates
    if not subject.lake.committed("trajectories", runs.train_run):
        adopted = project.training.checkpoint is not None
        states = 1 if adopted else len({0, *checkpoint_steps(recipe)})
        slots = len(recipe.rule.optimizer.init(torch.zeros(1)))
        whole = replicates * states * (1 + slots) * recipe.task.size * vector
        yield "checkpoints", _remaining(whole, project.artifacts / runs.train_run)
    responses = 0
    for run in _to_simulate(subject):
        stored = 2 if run.settings.response_precision == "bfloat16" else vector
        size = Scope(recipe.task, run.settings.scope).size * stored
        whole = _units(subject, run) * replicates * size
        responses += _remaining(whole, project.artifacts / run.run_id)
    if most := _most_retrains(subject):
        responses += _remaining(most * recipe.task.size * vector, project.artifacts / retrain_bank(project))
    if responses:
        yield "responses", responses


def _most_retrains(subject: Subject) -> int:
    """Trainings without some sources that the budget allows; without a budget one a source is foreseen."""
    project = subject.project
    if not project.trains_without_sources:
        return 0
    budget = project.valuation.budget
    return len(subject.sources or ()) if budget is None else budget


def _to_simulate(subject: Subject) -> list[SimulationRun]:
    """Simulations that are not committed; estimators write little."""
    if subject.runs is None:
        return []
    return [
        run
        for run in simulation_runs(subject.project)
        if not run.settings.estimated and not subject.lake.committed("simulations", run.run_id)
    ]


def _units(subject: Subject, run: SimulationRun) -> int:
    """Units of a simulation, at least."""
    project, names = subject.project, [each.source_id for each in subject.sources or ()]
    main: SimulationSettings = project.simulation
    grouped = main.notion == "leave_one_out" and main.groups < len(names) and not main.estimated
    units = max(2, main.groups // 2) if grouped else len(names)
    if run.name != "simulated" or grouped:
        return units
    return len(drawn_units(main, names, project.training.seed))


def _remaining(size: int, folder: Path) -> int:
    """How many of these bytes a resumed run still has to write."""
    return max(0, size - sum(file.stat().st_size for file in folder.rglob("*.safetensors") if file.is_file()))


def _snapshot_bytes(subject: Subject) -> int:
    """Bytes of the examples, before they are compressed."""
    if subject.snapshot is not None:
        return 0
    return sum(values.nbytes for _, columns in subject.examples() for values in columns.values())


def memory_gib() -> float:
    """Memory of this machine, GiB."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / GIB


def _gib(size: int) -> str:
    return f"{size / GIB:,.2f} GiB"
