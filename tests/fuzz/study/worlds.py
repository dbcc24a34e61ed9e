"""Drawn studies: a task, examples, queries and settings; and what each source is worth to plain PyTorch."""

from dataclasses import dataclass, field
from itertools import product
from math import factorial
from pathlib import Path
from typing import Any

import numpy as np

import tribute
from tests.fuzz.chance import Chance
from tests.fuzz.odd_ids import UNPRINTABLE, canonical, drawn_ids
from tests.fuzz.study.models import MODELS, ROUGH
from tests.fuzz.study.retraining import PlainTraining, batches_of, built, first_of_horizon, rates_of
from tests.fuzz.study.tasks import (
    BUILDS,
    DATA,
    LOSSES,
    MEASUREMENTS,
    OF_CLASSES,
    SHAPES,
    WRITINGS,
    WrittenTask,
    spoiled,
)

Columns = dict[str, np.ndarray]
STEPS = 10
"""Most steps of a training."""
OF_IDS = ("an unprintable id", "one id twice")
OF_SETTINGS = ("one source", "a batch above the corpus", "an unknown method", "an empty source")


@dataclass
class World:
    """A task and its data.

    Attributes:
        fault: what is wrong with the task, the data or the ids; empty: nothing.
    """

    task: WrittenTask
    by_source: dict[str, Columns]
    queries: Columns
    kinds: list[str]
    model: str
    fault: str = ""
    base: list[float] = field(default_factory=lambda: [0.0])
    """Added to all that is not trained, as if it were read from a file; it may change between two studies."""

    def study(self, folder: Path, **settings: Any) -> tribute.Study:
        """The product's study of this world, which keeps its files in a folder."""
        return tribute.Study(self.task, self.by_source, folder=folder / "study", **settings)

    @property
    def ids(self) -> list[str]:
        """The ids of the sources as the product sorts them."""
        return sorted(map(canonical, self.by_source))

    @property
    def columns(self) -> Columns:
        """All examples, in the order of the sorted sources."""
        ordered = sorted(self.by_source, key=canonical)
        return {
            name: np.concatenate([self.by_source[source][name] for source in ordered]) for name in self.queries
        }

    @property
    def source_N(self) -> np.ndarray:
        """The source of every example."""
        ordered = sorted(self.by_source, key=canonical)
        return np.repeat(np.arange(len(ordered)), [len(self.by_source[each]["labels"]) for each in ordered])


def drawn_world(chance: Chance, fault: str = "", models: tuple[str, ...] = tuple(MODELS), most: int = 5) -> World:
    """A task with sources of 1 to 40 rows; `models`: those to draw from."""
    model, writing = chance.of(models), chance.of(WRITINGS)
    if fault in OF_CLASSES:
        writing = chance.of([name for name, each in WRITINGS.items() if each.outputs is None])
    inputs, classes = chance.whole(3, 6), chance.whole(2, 4)
    outputs = WRITINGS[writing].outputs or classes
    base = [0.0]
    task = spoiled(WrittenTask(lambda: on_base(MODELS[model](inputs, outputs), base[0]), WRITINGS[writing]), fault)
    names = drawn_ids(chance, chance.whole(2, most))
    sizes = [chance.mixed([(1, 1), (3, chance.whole(2, 9)), (2, chance.whole(10, 40))]) for _ in names]
    sizes[0] += max(0, 4 - sum(sizes))
    lean = {name: chance.normal(inputs, classes) for name in names}
    by_source = {name: drawn_rows(chance, size, lean[name]) for name, size in zip(names, sizes, strict=True)}
    queries = drawn_rows(chance, chance.whole(1, 9), lean[names[0]])
    if fault in DATA:
        DATA[fault](by_source[chance.of(names)])
    by_source = _with_wrong_ids(chance, by_source, fault)
    return World(task, by_source, queries, [f"model: {model}", f"writing: {writing}"], model, fault, base)


def on_base(model: Any, base: float) -> Any:
    """A model whose frozen floats are moved by a number."""
    for value in (*model.parameters(), *model.buffers()):
        if base and not value.requires_grad and value.is_floating_point():
            value.data += base
    return model


def drawn_rows(chance: Chance, count: int, lean: np.ndarray) -> Columns:
    """Features, labels that lean on them, and targets; `lean`: features by classes."""
    features = chance.normal(count, len(lean))
    labels = (features @ lean + chance.normal(count, lean.shape[1])).argmax(1)
    return {"features": features, "labels": labels, "targets": (features @ lean)[:, 0].astype(np.float32) / 2}


def _with_wrong_ids(chance: Chance, by_source: dict[str, Columns], fault: str) -> dict[str, Columns]:
    first = next(iter(by_source))
    if fault == "an unprintable id":
        return by_source | {UNPRINTABLE[chance.of(UNPRINTABLE)]: by_source[first]}
    if fault == "one id twice":
        return by_source | {"\u00c5ngstrom": by_source[first], "A\u030angstrom": by_source[first]}
    if fault == "one source":
        return {first: by_source[first]}
    if fault == "an empty source":
        return by_source | {"empty": {name: values[:0] for name, values in by_source[first].items()}}
    return by_source


def drawn_training(chance: Chance, examples: int) -> dict[str, Any]:
    """Settings of a short training."""
    batch = chance.whole(1, min(examples, 12))
    parts = chance.of([each for each in (1, 1, 2, 3, 4) if batch % each == 0])
    optimizer = chance.of(["sgd", "sgd", "adam", "adamw"])
    found: dict[str, Any] = {
        "optimizer": optimizer,
        "batch_size": batch,
        "accumulation": parts,
        "epochs": chance.whole(3, STEPS) * batch / examples + 1e-9,
        "schedule": chance.of(["constant", "cosine", "linear"]),
        "warmup": chance.of([0.0, 0.05, 0.3]),
        "final_rate": chance.of([0.0, 0.1, 1.0]),
        "weight_decay": chance.of([0.0, 0.0, 0.01, 0.1]),
        "clip_norm": chance.of([None, None, 0.3, 2.0]),
        "seed": chance.whole(0, 1000),
        "replicates": chance.of([1, 1, 2]),
    }
    if optimizer == "sgd":
        momentum = chance.of([0.0, 0.5, 0.9])
        nesterov = bool(momentum) and chance.happens(0.3)
        return found | {"learning_rate": 0.05 * (1 - momentum) + 0.01, "momentum": momentum, "nesterov": nesterov}
    eps_root = chance.of([1e-8, 1e-6])
    betas = chance.of([(0.9, 0.99), (0.8, 0.95)])
    return found | {"learning_rate": chance.of([0.01, 0.03]), "betas": betas, "eps_root": eps_root}


@dataclass
class Method:
    """How influences are found: settings of the simulation, and the exact figure that they stand for."""

    simulation: dict[str, Any] = field(default_factory=lambda: {"horizon": 1.0})
    figure: str = "removal"


def drawn_method(chance: Chance, world: World) -> Method:
    """A simulation whose value plain PyTorch knows."""
    smooth = world.model not in ROUGH
    kind = chance.mixed([(6, "removal"), (1.5 if smooth else 0, "derivative"), (1, "semivalue")])
    simulation: dict[str, Any] = {
        "horizon": chance.of([1.0, 1.0, 0.5, 0.3]),
        "checkpoint_every": chance.of([1, 3, 200]),
        "chunk": chance.of([1, 2, 32]),
        "smoothness_sources": chance.of([0, 2]),
    }
    if kind == "derivative":
        return Method(simulation | {"mode": "tangent"}, kind)
    if kind == "semivalue" and len(world.by_source) <= 4:
        notion = chance.of(["banzhaf", "shapley"])
        return Method(simulation | {"notion": notion}, notion)
    return Method(simulation)


def plain_training(world: World, settings: tribute.TrainingSettings, replicate: int, **more: Any) -> PlainTraining:
    """The training of a replicate, repeated by plain PyTorch."""
    columns, seed = world.columns, settings.seed + replicate
    examples = len(columns["labels"])
    steps = max(1, round(settings.epochs * (examples // settings.batch_size)))
    batches, rates = batches_of(settings, examples, seed, steps), rates_of(settings, steps)
    given: dict[str, Any] = {"fresh": lambda: built(world.task, seed), "batches": batches, "rates": rates} | more
    return PlainTraining(
        task=world.task, training=settings, columns=columns, source_N=world.source_N, seed=seed, **given
    )


def exact_influence(world: World, method: Method, plain: PlainTraining) -> np.ndarray:
    """[Q, S] nats, by retraining without sources from where the simulation begins."""
    first = first_of_horizon(plain.rates, method.simulation["horizon"])
    sources = range(len(world.ids))

    def measured(**weights: Any) -> np.ndarray:
        return plain.measured(plain.model(weights["of"], first), world.queries)

    if method.figure == "removal":
        whole = measured(of={})
        return np.stack([whole - measured(of={source: 0.0}) for source in sources], 1)
    if method.figure == "derivative":
        step = 1e-3
        ends = [[measured(of={source: 1 + sign * step}) for sign in (1, -1)] for source in sources]
        return np.stack([(above - below) / (2 * step) for above, below in ends], 1)
    worth = {
        kept: measured(of={source: 0.0 for source in sources if not kept[source]})
        for kept in product((False, True), repeat=len(sources))
    }
    return np.stack([_semivalue(worth, source, method.figure) for source in sources], 1)


def _semivalue(worth: dict[tuple[bool, ...], np.ndarray], source: int, notion: str) -> np.ndarray:
    count = len(next(iter(worth)))
    total = np.zeros_like(next(iter(worth.values())))
    for kept, value in worth.items():
        if not kept[source]:
            size = sum(kept)
            weight = 1 / 2 ** (count - 1)
            if notion == "shapley":
                weight = factorial(size) * factorial(count - size - 1) / factorial(count)
            total += weight * (worth[tuple(k or n == source for n, k in enumerate(kept))] - value)
    return total


def wrong_function(chance: Chance) -> str:
    """A loss or a measurement that is wrong; of another shape in one case of three."""
    return chance.of([chance.of(SHAPES), chance.of(LOSSES), chance.of(MEASUREMENTS)])


def drawn_fault(chance: Chance) -> str:
    """Something that is wrong with a task, its data, its ids or its settings."""
    return chance.mixed(
        [
            (5, wrong_function(chance)),
            (2, chance.of(BUILDS)),
            (1.5, chance.of(DATA)),
            (1.5, chance.of(OF_IDS)),
            (1, chance.of(OF_SETTINGS)),
        ]
    )
