"""The small transformer on text.

Legend: M retrainings, N training examples, Q queries.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.canonical.settings import OWN_SEED, Plan
from tests.benchmarks.canonical.text.windows import Windows, read_windows
from tribute.config import TaskSettings, TrainingSettings
from tribute.evaluation.bank import PublishedFigure
from tribute.readout import QueryRows
from tribute.training import Recipe, TrainingSet

LEADERBOARD = (
    "bergson 2.5.1, README: GPT-2 fine-tuned on WikiText, another model and another corpus than here, in that "
    "project's own units; not to be compared with the rows of this setting"
)
ELSEWHERE = {
    "MAGIC": (0.931, 0.100),
    "EK-FAC with conjugate gradients": (0.685, 0.077),
    "SOURCE": (0.473, 0.071),
    "EK-FAC": (0.454, 0.070),
    "TrackStar": (0.276, 0.045),
    "BM25": (0.220, 0.062),
    "TRAK, 8 models": (0.138, 0.032),
}
"""LDS of leaving 1 % out, and QLD."""


@dataclass(frozen=True)
class TextSetting:
    """A transformer on windows of text, each of which is a source of its own.

    ``percents``: disjoint parts of the training set that are left out one by one, with weight 0 in place.
    """

    name: str
    description: str
    task: TaskSettings
    training: TrainingSettings
    read: Callable[[], Windows]
    plan: Plan
    percents: int
    published: tuple[PublishedFigure, ...] = ()

    @cached_property
    def windows(self) -> Windows:
        """The text."""
        return self.read()

    @cached_property
    def data(self) -> TrainingSet:
        """The training examples."""
        return _by_window(self.windows.examples)

    @property
    def examples(self) -> int:
        """N."""
        return len(self.windows.examples)

    @property
    def queries(self) -> int:
        """Q."""
        return len(self.windows.queries)

    @cached_property
    def query_rows(self) -> QueryRows:
        """The queries, windows of the same pages that are not trained on."""
        names = tuple(f"{q:03d}" for q in range(self.queries))
        return QueryRows(names, {"tokens": self.windows.queries.astype(np.int64)}, np.arange(self.queries))

    @property
    def singles(self) -> NDArray[np.int64]:
        """No example is left out by itself."""
        return np.arange(0)

    def recipe(self, seed: int = OWN_SEED) -> Recipe:
        """The training that is judged, or another."""
        return Recipe(self.task, self.training, self.data, seed)

    def recipe_alone(self, kept_N: NDArray[np.bool_], seed: int) -> Recipe:
        """A training on the kept examples alone, in an order of its own."""
        return Recipe(self.task, self.training, _by_window(self.windows.examples[kept_N]), seed)

    @cached_property
    def kept_percents(self) -> NDArray[np.bool_]:
        """All examples but those of a part, [M, N]; the parts are disjoint and random."""
        order = np.random.default_rng(OWN_SEED).permutation(self.examples)
        kept_MN = np.ones((self.percents, self.examples), dtype=bool)
        for kept_N, part in zip(kept_MN, np.array_split(order, self.percents), strict=True):
            kept_N[part] = False
        return kept_MN

    @cached_property
    def kept_halves(self) -> NDArray[np.bool_]:
        """Random halves, [M, N]."""
        kept_MN = np.zeros((self.plan.halves, self.examples), dtype=bool)
        for m, kept_N in enumerate(kept_MN):
            kept_N[np.random.default_rng(m).choice(self.examples, self.examples // 2, replace=False)] = True
        return kept_MN


def _by_window(window_NW: NDArray[np.uint8]) -> TrainingSet:
    count = len(window_NW)
    names = tuple(f"{n:05d}" for n in range(count))
    return TrainingSet(names, np.arange(count), {"tokens": window_NW.astype(np.int64)})


TRANSFORMER = TextSetting(
    name="transformer",
    description=(
        "A transformer of one layer, width 32, 2 heads and 18,912 parameters on 1,000 windows of 65 ASCII bytes "
        "of tribute's own documentation, 100 other windows of the same pages as queries: AdamW .005 with a "
        "warm-up and cosine decay, eps_root 1e-5, batches of 25, 7 epochs, no dropout, no weight decay. f is the "
        "log-likelihood of a window's 64 predicted bytes. 100 disjoint random parts of 1 % are left out under the "
        "same seed, with weight 0 in place. Halves are trained on the kept half alone, under other seeds."
    ),
    task=TaskSettings(
        name="byte_lm", options={"context": 64, "width": 32, "heads": 2, "layers": 1, "vocabulary": 128}
    ),
    training=TrainingSettings(
        optimizer="adamw",
        learning_rate=0.005,
        schedule="cosine",
        warmup=0.1,
        eps_root=1e-5,
        batch_size=25,
        epochs=7.0,
    ),
    read=read_windows,
    plan=Plan(halves=50, runs=2, same=0, singles=0),
    percents=100,
    published=tuple(
        PublishedFigure(method=f"{method}, GPT-2 on WikiText", metric=metric, value=value, source=LEADERBOARD)
        for method, figures in ELSEWHERE.items()
        for metric, value in zip(("lds_percent", "qld"), figures, strict=True)
    ),
)
