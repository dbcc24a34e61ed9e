"""What a simulation of a language model costs, in trainings, by scope, number of sources, and folded or looped.

A training is the same number of steps of a plain PyTorch loop over the same model that trains all parameters.
Steps are alike, so that one is timed, in processor time of one thread. What a number of sources costs is read off
the line through two ensembles.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch.nn import functional

from tests.allocated import allocated
from tests.benchmarks.language_shapes import layers_of, shape_of, vocabulary_of
from tribute.config import SimulationSettings, TaskSettings, TrainingSettings
from tribute.simulation import GIB, Mode, bill, build_mode, build_schedule
from tribute.tasks import FlatTask, Scope
from tribute.training import Recipe, TrainingSet

LORA = {
    "r": 16,
    "target_modules": ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
}
HORIZON = 0.2
SOURCES = (8, 32, 128)
FOLDED, LOOPED = (2, 8), (1, 2)
"""Sources of the two ensembles that are timed."""


@dataclass(frozen=True)
class Work:
    """Rows of a batch, tokens of a row, timed steps, and memory of an ensemble, GiB."""

    rows: int = 4
    length: int = 64
    repeats: int = 2
    memory_gib: float = 8.0


class Line(NamedTuple):
    """Seconds of a step of an ensemble of no sources, and of each source."""

    fixed: float
    each: float

    def at(self, chunks: int, sources: int) -> float:
        """Seconds of a step of some ensembles."""
        return chunks * self.fixed + sources * self.each


def recipe_of(model: str, work: Work, **options: Any) -> Recipe:
    """A training of a model, of an adapter, or of some of its parameters, on random tokens of 128 sources."""
    draw, vocabulary = np.random.default_rng(0), vocabulary_of(model)
    tokens = draw.integers(3, vocabulary, (max(SOURCES), work.rows, work.length + 1)).astype(np.int32)
    data = TrainingSet.assemble({f"source-{index:03}": {"tokens": own} for index, own in enumerate(tokens)})
    task = TaskSettings(name="huggingface", options={"model": model, "dropout": False} | options)
    return Recipe(task, TrainingSettings(batch_size=work.rows, clip_norm=1.0, eps=1e-8), data, 0)


def seconds(run: Callable[[], object], repeats: int) -> float:
    """Median processor time of a call, s, after one that is not counted."""
    run()
    taken = []
    for _ in range(repeats):
        begin = time.process_time()
        run()
        taken.append(time.process_time() - begin)
    return statistics.median(taken)


def plain_step(recipe: Recipe, work: Work) -> float:
    """Time of a step of a plain PyTorch loop that trains all parameters, s."""
    model = recipe.task.task.build()
    model.requires_grad_(True)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-4)
    batch, _ = recipe.data.batch(np.arange(work.rows), recipe.device)
    tokens_BW = batch["tokens"].long()

    def step() -> None:
        logits = model(input_ids=tokens_BW[:, :-1], use_cache=False).logits
        functional.cross_entropy(logits.flatten(0, 1), tokens_BW[:, 1:].flatten()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()

    return seconds(step, work.repeats)


def mode_of(recipe: Recipe, settings: SimulationSettings, units: int) -> Mode:
    """A simulation of some sources."""
    schedule = build_schedule(recipe, settings, recipe.initial().theta)
    return build_mode(schedule, settings, torch.eye(max(SOURCES))[:units])


def step_seconds(mode: Mode, repeats: int) -> float:
    """Time of a step of an ensemble, s."""
    step, ensemble = mode.schedule.steps.start, [mode.begin(mode.schedule.recipe.initial())]

    def run() -> None:
        ensemble[0] = mode.advance(ensemble[0], step)

    return seconds(run, repeats)


def peak_bytes(mode: Mode) -> int:
    """Memory of a step of an ensemble and of its responses at its peak; the first step was run before."""
    step, state = mode.schedule.steps.start, mode.schedule.recipe.initial()
    return allocated(lambda: mode.responses(mode.advance(mode.begin(state), step)))


def line_of(modes: Sequence[Mode], units: tuple[int, int], repeats: int) -> Line:
    """The line through the steps of two ensembles."""
    few, more = (step_seconds(mode, repeats) for mode in modes)
    each = (more - few) / (units[1] - units[0])
    return Line(few - units[0] * each, each)


def cost_of(recipe: Recipe, scope: str, plain: float, work: Work) -> dict[str, Any]:
    """Cost per replicate of a scope, in trainings; bytes of a response; memory of an ensemble of 8."""
    settings = SimulationSettings(scope=scope, horizon=HORIZON, memory_gib=work.memory_gib)
    modes = [mode_of(recipe, settings, units) for units in FOLDED]
    folded, found = line_of(modes, FOLDED, work.repeats), peak_bytes(modes[-1])
    with patch.object(FlatTask, "autocasts", new=True):  # trajectories one after the other, as under autocast
        looped = line_of([mode_of(recipe, settings, units) for units in LOOPED], LOOPED, work.repeats)
    taken, size = bill(recipe, settings), Scope(recipe.task, scope).size
    at_once = max(1, min(settings.chunk, taken.units_within(work.memory_gib * GIB)))

    def trainings(line: Line) -> dict[str, float]:
        return {str(many): HORIZON * line.at(-(-many // at_once), many) / plain for many in SOURCES}

    return {
        "folded": trainings(folded),
        "looped": trainings(looped),
        "per_source": {"folded": HORIZON * folded.each / plain, "looped": HORIZON * looped.each / plain},
        "at_once": at_once,
        "response_bytes": {"float32": 4 * size, "bfloat16": 2 * size},
        "peak_gib": {"predicted": taken.bytes(FOLDED[1]) / GIB, "found": found / GIB},
    }


def costs(model: str, work: Work | None = None) -> dict[str, Any]:
    """`tokens_per_s` of plain training, and `simulation_cost_in_trainings` by scope.

    `last_block` of a training of all parameters runs the whole model besides; `last_block alone` is that of a
    training of the last block alone, and `lora` of adapters of rank 16 on every layer.
    """
    work = work or Work()
    last = rf"layers\.{layers_of(model) - 1}\.|^model\.norm\."
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        whole = recipe_of(model, work)
        plain = plain_step(whole, work)
        found = {"last_block": cost_of(whole, "last_block", plain, work)}
        del whole
        found["last_block alone"] = cost_of(recipe_of(model, work, trainable=last), "all", plain, work)
        found["lora"] = cost_of(recipe_of(model, work, adapter=LORA), "lora", plain, work)
    finally:
        torch.set_num_threads(threads)
    return {
        "model": Path(model).name,
        "shape": shape_of(model),
        "batch": f"{work.rows} rows of {work.length} tokens",
        "tokens_per_s": work.rows * work.length / plain,
        "horizon": HORIZON,
        "simulation_cost_in_trainings": found,
    }


def show(figures: dict[str, Any]) -> None:
    """The figures as a table."""
    table = Table(title=f"Trainings per replicate, plain training {figures['tokens_per_s']:.0f} tokens/s")
    for name in ("scope", "way", *(f"{sources} sources" for sources in SOURCES), "a further source", "at once"):
        table.add_column(name, justify="right")
    for scope, row in figures["simulation_cost_in_trainings"].items():
        for way in ("folded", "looped"):
            each = [f"{row[way][str(sources)]:.2f}" for sources in SOURCES]
            table.add_row(scope, way, *each, f"{row['per_source'][way]:.4f}", str(row["at_once"]))
    Console(width=120).print(table)
