"""What a simulation of a language model costs, in trainings, by scope, number of sources, and folded or looped.

A training is the same number of steps of a plain PyTorch loop over the same model that trains all parameters. The
model is random and has the shape of SmolLM2-135M, unless it is given. A step is timed; steps are alike.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch.nn import functional

from tests.benchmarks.results import FOLDER
from tribute.config import SimulationSettings, TaskSettings, TrainingSettings
from tribute.simulation import GIB, Mode, bill, build_mode, build_schedule
from tribute.tasks import Scope, gradient_at
from tribute.training import Recipe, TrainingSet
from tribute.training.step import weighted_loss

SMOLLM2 = {
    "vocab_size": 49152,
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "max_position_embeddings": 2048,
    "tie_word_embeddings": True,
}
LORA = {
    "r": 16,
    "target_modules": ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
}
HORIZON = 0.2
SOURCES = (8, 32, 128)
AT_ONCE = 8
"""Sources in a timed ensemble; costs of more are read off the line through two ensembles."""


@dataclass(frozen=True)
class Work:
    """Rows of a batch, tokens of a row, timed steps, and memory of an ensemble, GiB."""

    rows: int = 4
    length: int = 64
    repeats: int = 2
    memory_gib: float = 8.0


def model_folder(shape: dict[str, Any] = SMOLLM2) -> str:
    """A folder with the config of a random model."""
    import transformers  # noqa: PLC0415 - only this benchmark needs the extra hf

    folder = FOLDER / "language" / "random"
    transformers.LlamaConfig(architectures=["LlamaForCausalLM"], **shape).save_pretrained(folder)
    return str(folder)


def recipe_of(model: str, work: Work, adapter: dict[str, Any] | None = None) -> Recipe:
    """A training of a model, or of an adapter, on random tokens of 128 sources."""
    draw, vocabulary = np.random.default_rng(0), vocabulary_of(model)
    tokens = draw.integers(3, vocabulary, (max(SOURCES), work.rows, work.length + 1)).astype(np.int32)
    data = TrainingSet.assemble({f"source-{index:03}": {"tokens": own} for index, own in enumerate(tokens)})
    options = {"model": model, "dropout": False} | ({} if adapter is None else {"adapter": adapter})
    training = TrainingSettings(batch_size=work.rows, clip_norm=1.0, eps=1e-8)
    return Recipe(TaskSettings(name="huggingface", options=options), training, data, 0)


def vocabulary_of(model: str) -> int:
    """Tokens that a model knows."""
    import transformers  # noqa: PLC0415

    return int(transformers.AutoConfig.from_pretrained(model).vocab_size)


def seconds(run: Callable[[], object], repeats: int) -> float:
    """Median time of a call, s, after one that is not counted."""
    run()
    taken = []
    for _ in range(repeats):
        begin = time.perf_counter()
        run()
        taken.append(time.perf_counter() - begin)
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


def ensemble_step(recipe: Recipe, settings: SimulationSettings, units: int, repeats: int) -> float:
    """Time of a step of an ensemble, s."""
    state = recipe.initial()
    schedule = build_schedule(recipe, settings, state.theta)
    change_KS = torch.eye(max(SOURCES))[:units]
    mode: Mode = build_mode(schedule, settings, change_KS)
    step = schedule.steps.start
    ensemble = [mode.begin(state)]
    del state

    def run() -> None:
        ensemble[0] = mode.advance(ensemble[0], step)

    return seconds(run, repeats)


def looped_step(recipe: Recipe, settings: SimulationSettings, repeats: int) -> float:
    """Time of the gradient of one trajectory alone, s."""
    theta, scope = recipe.initial().theta, Scope(recipe.task, settings.scope)
    everyone = torch.ones(len(recipe.data.source_ids))
    [micro_batch] = recipe.micro_batches(recipe.schedule.order, 0, everyone)
    task = scope.task_at(theta)
    own = scope.part(theta)
    return seconds(
        lambda: gradient_at(lambda at: weighted_loss(task, at, micro_batch.batch, micro_batch.weights), own),
        repeats,
    )


def cost_of(recipe: Recipe, scope: str, plain: float, work: Work) -> dict[str, Any]:
    """Cost per replicate of a scope, in trainings; bytes of a response and of an ensemble."""
    settings = SimulationSettings(scope=scope, horizon=HORIZON, memory_gib=work.memory_gib)
    few, more = (ensemble_step(recipe, settings, units, work.repeats) for units in (AT_ONCE // 2, AT_ONCE))
    each = (more - few) / (AT_ONCE - AT_ONCE // 2)
    alone, taken = looped_step(recipe, settings, work.repeats), bill(recipe, settings)
    at_most = max(1, min(settings.chunk, taken.units_within(work.memory_gib * GIB)))
    folded, looped = dict[str, float](), dict[str, float]()
    for sources in SOURCES:
        chunks = -(-sources // at_most)
        seconds_of_step = chunks * (more - AT_ONCE * each) + sources * each
        folded[str(sources)] = HORIZON * seconds_of_step / plain
        looped[str(sources)] = folded[str(sources)] + HORIZON * (sources + chunks) * (alone - each) / plain
    size = Scope(recipe.task, scope).size
    return {
        "folded": folded,
        "looped": looped,
        "per_source": HORIZON * each / plain,
        "at_once": at_most,
        "response_bytes": {"float32": 4 * size, "bfloat16": 2 * size},
        "peak_gib_predicted": taken.bytes(AT_ONCE) / GIB,
    }


def costs(model: str | None = None, work: Work | None = None) -> dict[str, Any]:
    """`tokens_per_s` of plain training, and `simulation_cost_in_trainings` by scope."""
    model, work = model or model_folder(), work or Work()
    whole = recipe_of(model, work)
    plain = plain_step(whole, work)
    found = {"last_block": cost_of(whole, "last_block", plain, work)}
    del whole
    found["lora"] = cost_of(recipe_of(model, work, LORA), "lora", plain, work)
    return {
        "model": Path(model).name,
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
            table.add_row(scope, way, *each, f"{row['per_source']:.4f}", str(row["at_once"]))
    Console(width=120).print(table)
