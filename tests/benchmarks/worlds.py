"""A project's training as the benchmarks see it: any seed trained, simulated in any way, read out on its queries.

Legend: P parameters, Q queries, U units, S sources.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tribute.catalog import lineage, period_queries
from tribute.cluster import chunks
from tribute.cluster.process import prepare_process
from tribute.config import Project, SimulationSettings, load_project
from tribute.corpus import QueryTable, read_manifest
from tribute.readout import QueryRows, read_out
from tribute.simulation import Unit, build_mode, build_schedule, change_matrix, leave_one_out_units, simulate
from tribute.tasks import Scope, joined
from tribute.training import Recipe, State, TrainingSet, snapshot_training_set
from tribute_jobs.pipeline import run
from tribute_jobs.progress import JsonReporter

PERIOD = "2026-10"
CORES = 2
WARM_UP = 20
"""Steps before the clock starts."""


@dataclass(frozen=True)
class Ask:
    """A simulation: the keys that differ from `simulation`, the units (default: single sources), read-outs."""

    name: str
    settings: dict[str, object]
    units: tuple[Unit, ...] = ()
    readouts: tuple[str, ...] = ("difference",)


@dataclass(frozen=True)
class Found:
    """Influence of units by read-out, [Q, U] nats; cost in trainings of that process, bytes of the responses."""

    read: dict[str, NDArray[np.float32]]
    trainings: float
    stored_bytes: int

    @property
    def influence_QU(self) -> NDArray[np.float32]:
        """By the first read-out that was asked for."""
        return next(iter(self.read.values()))


@dataclass(frozen=True)
class World:
    """A project whose corpus is there."""

    path: Path

    @classmethod
    def of(cls, path: Path) -> "World":
        """The world of a project file; reads its corpus."""
        run(load_project(path), PERIOD, JsonReporter(), last="corpus")
        return cls(path)

    @cached_property
    def project(self) -> Project:
        """Its settings."""
        return load_project(self.path)

    @cached_property
    def data(self) -> TrainingSet:
        """Its training examples."""
        folder = self.project.artifacts / lineage(self.project).corpus_run
        return snapshot_training_set(folder)

    @cached_property
    def tokens_S(self) -> NDArray[np.float64]:
        """Token counts."""
        folder = self.project.artifacts / lineage(self.project).corpus_run
        return np.array([source.tokens for source in read_manifest(folder).sources], dtype=np.float64)

    @cached_property
    def queries(self) -> QueryTable:
        """Its queries."""
        return period_queries(self.project, PERIOD)

    def recipe(self, seed: int) -> Recipe:
        """Its training under a seed."""
        return Recipe(self.project.task, self.project.training, self.data, seed)

    def warm_up(self, recipe: Recipe) -> None:
        """A few steps before the clock starts."""
        everything = torch.ones(len(self.data.source_ids))
        recipe.run(recipe.initial(), range(min(WARM_UP, recipe.steps)), everything)

    def finals(self, seeds: Sequence[int]) -> list[torch.Tensor]:
        """Final parameters under some seeds, [P] each."""
        everything = torch.ones(len(self.data.source_ids))
        recipes = [self.recipe(seed) for seed in seeds]
        return [joined(each.run(each.initial(), range(each.steps), everything).theta) for each in recipes]

    def answer(self, seed: int, asks: Sequence[Ask]) -> dict[str, Found]:
        """Train under a seed and simulate what is asked, chunk by chunk as a worker would."""
        recipe = self.recipe(seed)
        settings = {ask.name: self.project.simulation.model_copy(update=ask.settings) for ask in asks}
        starts = {recipe.horizon_start(each.horizon) for each in settings.values()} | {recipe.steps}
        states = {0: recipe.initial()}

        def keep(step: int, state: State) -> None:
            if step in starts:
                states[step] = state

        everything = torch.ones(len(self.data.source_ids))
        self.warm_up(recipe)
        began = time.process_time()
        recipe.run(states[0], range(recipe.steps), everything, keep)
        training = time.process_time() - began
        found = {}
        for ask in asks:
            units = list(ask.units) or leave_one_out_units(self.data.source_ids)
            read, seconds, stored = self._simulated(recipe, settings[ask.name], units, states, ask.readouts)
            found[ask.name] = Found(read, seconds / training, stored)
        return found

    def _simulated(
        self,
        recipe: Recipe,
        settings: SimulationSettings,
        units: Sequence[Unit],
        states: dict[int, State],
        readouts: Sequence[str],
    ) -> tuple[dict[str, NDArray[np.float32]], float, int]:
        final, rows = states[recipe.steps], QueryRows.of(self.queries)
        schedule = build_schedule(recipe, settings, final.theta)
        start = states[schedule.steps.start]
        if settings.base == "continue":
            start = recipe.rule.begin(final.theta)
        pieces, seconds, stored = dict[str, list[NDArray[np.float32]]](), 0.0, 0
        for chosen in chunks(len(units), settings.chunk):
            chunk, began = [units[u] for u in chosen], time.process_time()
            mode = build_mode(
                schedule, settings, torch.from_numpy(change_matrix(chunk, len(self.data.source_ids)))
            )
            result = simulate(mode, mode.begin(start), schedule.steps.start)
            seconds += time.process_time() - began
            stored += sum(tensor.nbytes for tensor in result.response.values())
            scope = Scope(recipe.task, settings.scope)
            for name in readouts:
                [read] = read_out(name, scope, [joined(final.theta)], [joined(result.response, 1)], rows)
                pieces.setdefault(name, []).append(read.influence_QS.numpy())
        return {name: np.concatenate(parts, axis=1) for name, parts in pieces.items()}, seconds, stored


def answers(jobs: Sequence[tuple[Path, int, Sequence[Ask]]]) -> list[dict[str, Found]]:
    """`World.answer` of every (project, seed, asks)."""
    return in_processes(_answer, jobs)


def in_processes(work: Callable[..., Any], jobs: Sequence[tuple[Any, ...]]) -> list[Any]:
    """`work(*job)` of every job, `CORES` at a time, in processes like those of the workers."""
    with ProcessPoolExecutor(CORES, mp_context=get_context("spawn"), initializer=prepare_process) as pool:
        return list(pool.map(work, *zip(*jobs, strict=True)))


def _answer(path: Path, seed: int, asks: Sequence[Ask]) -> dict[str, Found]:
    return World(path).answer(seed, asks)
