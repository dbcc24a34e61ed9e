"""The settings that others publish and that two cores can run, and what is known of each.

Legend: M retrainings, N training examples, Q queries.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.canonical.digits import Columns, by_example, first_images, four_against_nine
from tests.benchmarks.canonical.networks import InFileOrder, Perceptron
from tribute.config import TrainingSettings
from tribute.evaluation.bank import BankSettings, PublishedFigure
from tribute.readout import QueryRows
from tribute.training import TrainingSet

OWN_SEED = 0
"""Of the model that every method is given."""
OTHER_SEEDS = 1000
"""Seeds of further trainings count from here."""
CHART = "dattri, assets/images/benchmark-result-mnist.png, read off the bars"


class Plan(NamedTuple):
    """How many retrainings a bank holds.

    `halves` random halves, each under `runs` other seeds; the first `same` of them under the model's own seed as
    well. `singles` examples left out one by one with the weight 0 in place, in double precision if `exact`, and as
    many by deletion if `deleted`.
    """

    halves: int
    runs: int
    same: int
    singles: int
    exact: bool = False
    deleted: bool = False


@dataclass(frozen=True)
class PerceptronSetting:
    """A perceptron on images, each of which is a source of its own."""

    name: str
    description: str
    task: Perceptron
    training: TrainingSettings
    read: Callable[[str, int], Columns]
    examples: int
    queries: int
    plan: Plan
    published: tuple[PublishedFigure, ...]

    @cached_property
    def data(self) -> TrainingSet:
        """The training examples."""
        return by_example(self.read("train", self.examples))

    @cached_property
    def query_columns(self) -> Columns:
        """The test images."""
        return self.read("t10k", self.queries)

    @cached_property
    def query_rows(self) -> QueryRows:
        """The same for a read-out."""
        names = tuple(f"{q:03d}" for q in range(self.queries))
        return QueryRows(names, self.query_columns, np.arange(self.queries))

    def recipe(self, seed: int = OWN_SEED) -> InFileOrder:
        """The training that is judged, or another."""
        return InFileOrder(self.task, self.training, self.data, seed)

    @cached_property
    def kept_halves(self) -> NDArray[np.int64]:
        """The random halves, [M, N / 2]; drawn as dattri's `retrain_lds` draws them with seed 0."""
        size, half = self.examples, self.examples // 2
        drawn = [np.random.default_rng(m).choice(size, half, replace=False) for m in range(self.plan.halves)]
        return np.sort(np.stack(drawn), 1)

    @cached_property
    def singles(self) -> NDArray[np.int64]:
        """The examples that are left out one by one, ascending."""
        drawn = np.random.default_rng(OWN_SEED).choice(self.examples, self.plan.singles, replace=False)
        return np.sort(drawn)


class Described(Protocol):
    """What the description of a bank is made from."""

    name: str
    description: str
    training: TrainingSettings
    examples: int
    queries: int
    plan: Plan
    published: tuple[PublishedFigure, ...]


def bank_settings(setting: Described, hyperparameters: Mapping[str, Any]) -> BankSettings:
    """How the bank of a setting is made: its own hyperparameters, and those that every setting has."""
    return BankSettings(
        name=setting.name,
        description=setting.description,
        command=f"make bench NAME=canonical SETTING={setting.name} REBUILD=1",
        own_seed=OWN_SEED,
        examples=setting.examples,
        queries=setting.queries,
        hyperparameters={
            **hyperparameters,
            "batch_size": setting.training.batch_size,
            "epochs": setting.training.epochs,
            **{f"plan_{name}": value for name, value in setting.plan._asdict().items()},
        },
        published=list(setting.published),
    )


def _sgd(epochs: int, momentum: float) -> TrainingSettings:
    return TrainingSettings(
        optimizer="sgd",
        learning_rate=0.01,
        momentum=momentum,
        schedule="constant",
        warmup=0.0,
        batch_size=64,
        epochs=float(epochs),
    )


def _published(source: str, metric: str, **figures: float) -> tuple[PublishedFigure, ...]:
    return tuple(
        PublishedFigure(method=method.replace("_", " "), metric=metric, value=value, source=source)
        for method, value in figures.items()
    )


LDS, SINGLE = "lds_half_other_seed", "leave_one_out_deleted"
LOGISTIC = PerceptronSetting(
    name="logistic",
    description=(
        "Logistic regression on the first 5,000 training images of MNIST, the first 500 test images as "
        "queries, as in dattri's benchmark: pixels normalised by .1307 and .3081, SGD .01 without momentum, "
        "batches of 64 in the order of the file, 20 epochs. f is the log-likelihood. Halves under other seeds "
        "are trained on the kept half alone, shuffled; halves under the same seed keep their order and weigh "
        "the others 0."
    ),
    task=Perceptron((784, 10)),
    training=_sgd(20, 0.0),
    read=first_images,
    examples=5000,
    queries=500,
    plan=Plan(halves=100, runs=8, same=100, singles=60, exact=True, deleted=True),
    published=(
        *_published(
            CHART,
            LDS,
            **{"explicit influence function": 0.80, "influence function by CG": 0.80, "LiSSA": 0.79},
            **{"TRAK, 50 models": 0.68, "TRAK, 10 models": 0.645, "TRAK, 1 model": 0.415},
            **{"TracIn": 0.33, "Arnoldi": 0.31},
        ),
        *_published(
            CHART,
            SINGLE,
            **{"explicit influence function": 0.88, "influence function by CG": 0.88, "LiSSA": 0.865},
            **{"TRAK, 50 models": 0.78, "TRAK, 10 models": 0.735, "TRAK, 1 model": 0.48},
            **{"TracIn": 0.28, "Arnoldi": 0.27},
        ),
    ),
)
MLP = PerceptronSetting(
    name="mlp",
    description=(
        "MLP 784-128-64-10 with ReLU and dropout .1 after each hidden layer on the first 5,000 training "
        "images of MNIST, the first 500 test images as queries, as in dattri's benchmark: SGD .01 with "
        "momentum .9, batches of 64 in the order of the file, 50 epochs. f is the log-likelihood. Halves "
        "under other seeds are trained on the kept half alone, shuffled, once each; half of the halves under the "
        "same seed as well, in their order, the others weighing 0."
    ),
    task=Perceptron((784, 128, 64, 10), 0.1),
    training=_sgd(50, 0.9),
    read=first_images,
    examples=5000,
    queries=500,
    plan=Plan(halves=100, runs=1, same=50, singles=60, deleted=True),
    published=(
        *_published(
            CHART,
            LDS,
            **{"TRAK, 50 models": 0.448, "TRAK, 10 models": 0.333, "influence function by CG": 0.258},
            **{"TracIn": 0.146, "LiSSA": 0.137, "gradient cosine": 0.124, "TRAK, 1 model": 0.114},
            **{"gradient product": 0.101, "representer points": 0.095, "Arnoldi": 0.089},
        ),
        *_published(CHART, SINGLE, **{"TRAK, 50 models": 0.023, "influence function by CG": 0.020}),
        *_published(CHART, SINGLE, **{"TRAK, 10 models": 0.018, "gradient cosine": 0.009}),
    ),
)
FOUR_NINE = PerceptronSetting(
    name="four_nine",
    description=(
        "MLP 784-256-1 with ReLU on the first 6,000 training images of the digits 4 and 9, the first 500 test "
        "images of these as queries, 500 random halves. The published figure comes without optimizer, rate "
        "and epochs: here SGD .01 with momentum .9, batches of 64 in the order of the file, 5 epochs. f is "
        "the log-likelihood. Halves are trained on the kept half alone, shuffled, under other seeds."
    ),
    task=Perceptron((784, 256, 1)),
    training=_sgd(5, 0.9),
    read=four_against_nine,
    examples=6000,
    queries=500,
    plan=Plan(halves=500, runs=1, same=0, singles=0),
    published=_published("figure named for this setting, without its hyperparameters", LDS, published=0.193),
)
PERCEPTRONS = {each.name: each for each in (LOGISTIC, MLP, FOUR_NINE)}
