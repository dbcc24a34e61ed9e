"""Markets of handwritten digits: MNIST of 14 x 14 pixels in sources of unequal size, worth and honesty.

- `size`: label-skewed sources of unequal size, so that size nearly is worth.
- `quality`: worth drawn apart from size: clean, copied and copying, rare classes, noisy labels, shuffled pixels.
"""

import gzip
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from tests.benchmarks.data import mnist_folder
from tests.benchmarks.markets.world import World, query_rows
from tests.benchmarks.mnist import SETTINGS, label_skewed
from tribute.config import TaskSettings, TrainingSettings
from tribute.training import TrainingSet

SOURCES, EXAMPLES, QUERIES = 20, 5000, 5000
KINDS = ("clean",) * 4 + ("original",) * 2 + ("duplicate",) * 4 + ("rare",) * 3
KINDS += ("noise 20%", "noise 20%", "noise 40%", "noise 60%", "noise 80%") + ("shuffled pixels",) * 2
"""What the 20 sources of the quality market are."""

SIZE_SPREAD = 1.5
"""Dirichlet parameter of the sources' sizes: the smaller, the less equal."""

RARITY = 0.04
"""How often an example of a rare class is found outside the sources of rare classes, by what is usual."""


@lru_cache(maxsize=2)
def mnist(side: int = 14) -> dict[str, NDArray]:
    """All images at a lower resolution, [N, side^2] between 0 and 1, and their labels, of both parts."""
    found = {}
    for part in ("train", "t10k"):
        with gzip.open(mnist_folder() / f"{part}-images-idx3-ubyte.gz") as file:
            pixels = np.frombuffer(file.read(), np.uint8, offset=16).reshape(
                -1, side, 28 // side, side, 28 // side
            )
        with gzip.open(mnist_folder() / f"{part}-labels-idx1-ubyte.gz") as file:
            labels = np.frombuffer(file.read(), np.uint8, offset=8)
        found[f"{part}-features"] = (pixels.mean((2, 4)) / 255).reshape(-1, side * side).astype(np.float32)
        found[f"{part}-labels"] = labels.astype(np.int64)
    return found


def world(
    name: str,
    features_N: NDArray,
    labels_N: NDArray,
    source_N: NDArray,
    kinds: tuple[str, ...],
    *,
    split: int,
    setting: str,
    epochs: float = 10,
    hidden: tuple[int, ...] = (64, 32),
) -> World:
    """A world of images that are dealt to sources; its queries are test images, drawn by split."""
    by_source = {
        f"{s:03d}": {"features": features_N[source_N == s], "labels": labels_N[source_N == s]}
        for s in range(len(kinds))
    }
    data = TrainingSet.assemble(by_source)
    order = np.random.default_rng([split, 99]).permutation(len(mnist()["t10k-labels"]))
    side = int(features_N.shape[1] ** 0.5)
    asked = [
        query_rows({key: mnist(side)[f"t10k-{key}"][chosen] for key in ("features", "labels")})
        for chosen in (order[:QUERIES], order[QUERIES : 2 * QUERIES])
    ]
    return World(
        f"{name}-{split}-{setting}",
        data,
        kinds,
        data.counts.astype(float),
        *asked,
        *trained(side * side, hidden, setting, epochs, batch=64),
    )


def trained(
    features: int, hidden: tuple[int, ...], setting: str, epochs: float, batch: int
) -> tuple[TaskSettings, TrainingSettings]:
    """A multilayer perceptron and its training by SGD; smooth or rough."""
    activation, rate = SETTINGS[setting]
    options = {"features": features, "hidden": list(hidden), "activation": activation, "measure": "log_likelihood"}
    training = TrainingSettings(
        optimizer="sgd",
        learning_rate=rate,
        momentum=0.9,
        schedule="constant",
        warmup=0.0,
        batch_size=batch,
        epochs=epochs,
    )
    return TaskSettings(name="classifier", options=options), training


def size(split: int, setting: str) -> World:
    """Label-skewed sources of unequal size."""
    images = mnist()
    chosen = np.random.default_rng([split, 1]).permutation(60_000)[:EXAMPLES]
    labels_N = images["train-labels"][chosen]
    source_N = label_skewed(labels_N, SOURCES, 100 + split)
    return world(
        "size",
        images["train-features"][chosen],
        labels_N,
        source_N,
        ("clean",) * SOURCES,
        split=split,
        setting=setting,
    )


def quality(split: int, setting: str) -> World:
    """Sources whose worth was drawn apart from their size."""
    rng = np.random.default_rng([split, 2])
    kinds = tuple(rng.permutation(KINDS).tolist())
    counts = sizes(rng, SOURCES, EXAMPLES)
    features, labels, source = deal(rng, kinds, counts)
    return world("quality", features, labels, source, kinds, split=split, setting=setting)


def sizes(rng: np.random.Generator, sources: int, examples: int, least: int = 40) -> NDArray[np.int64]:
    """How many examples each source has, at least a few."""
    share = rng.dirichlet(np.full(sources, SIZE_SPREAD))
    return (least + share * (examples - least * sources)).round().astype(np.int64)


def deal(
    rng: np.random.Generator, kinds: tuple[str, ...], counts: NDArray[np.int64], side: int = 14
) -> tuple[NDArray, NDArray, NDArray]:
    """Features, labels and source of every example, by what each source is."""
    images = mnist(side)
    order = rng.permutation(60_000)
    rare = rng.choice(10, 2, replace=False)
    is_rare = np.isin(images["train-labels"][order], rare)
    common = is_rare & (rng.random(len(order)) < RARITY) | ~is_rare
    pools = {"rare": list(order[is_rare & ~common]), "common": list(order[common])}
    features, labels, source = [], [], []
    taken: dict[int, NDArray] = {}
    originals = [s for s, kind in enumerate(kinds) if kind == "original"]
    copies = [s for s, kind in enumerate(kinds) if kind == "duplicate"]
    for s in sorted(range(len(kinds)), key=lambda s: kinds[s] == "duplicate"):
        if kinds[s] == "duplicate":
            chosen = rng.choice(taken[originals[copies.index(s) % len(originals)]], counts[s])
        else:
            pool = pools["rare" if kinds[s] == "rare" else "common"]
            chosen, pool[:] = np.array(pool[: counts[s]]), pool[counts[s] :]
        taken[s] = chosen
        x, y = images["train-features"][chosen], images["train-labels"][chosen]
        if kinds[s].startswith("noise"):
            wrong = rng.random(len(y)) < int(kinds[s].split()[1][:-1]) / 100
            y = np.where(wrong, rng.integers(10, size=len(y)), y)
        if kinds[s] == "shuffled pixels":
            x = rng.permuted(x, axis=1)
        features.append(x), labels.append(y), source.append(np.full(len(y), s))
    return np.concatenate(features), np.concatenate(labels), np.concatenate(source)


def many(split: int, setting: str) -> World:
    """As `quality`: ten times the sources, twice the examples, half the resolution and a smaller model."""
    rng = np.random.default_rng([split, 4])
    kinds = tuple(rng.permutation(KINDS * 10).tolist())
    counts = sizes(rng, len(kinds), 2 * EXAMPLES, least=10)
    features, labels, source = deal(rng, kinds, counts, side=7)
    return world("many", features, labels, source, kinds, split=split, setting=setting, epochs=5, hidden=(32,))


def poisoned(split: int, setting: str) -> World:
    """Ten sources of scikit-learn's digits, 8 x 8 pixels, one of them with shuffled labels."""
    rng = np.random.default_rng([split, 5])
    features, labels = load_digits(return_X_y=True)
    order = rng.permutation(len(labels))
    features, labels = (features[order] / 16).astype(np.float32), labels[order].astype(np.int64)
    kinds = tuple(rng.permutation(("clean",) * 9 + ("shuffled labels",)).tolist())
    ends = np.cumsum(rng.integers(60, 160, 10))
    by_source = {}
    for s, (begin, end) in enumerate(zip([0, *ends[:-1]], ends, strict=True)):
        chosen = labels[begin:end] if kinds[s] == "clean" else rng.permutation(labels[begin:end])
        by_source[f"{s:03d}"] = {"features": features[begin:end], "labels": chosen}
    asked = [query_rows({"features": features[k::2], "labels": labels[k::2]}) for k in (ends[-1], ends[-1] + 1)]
    data = TrainingSet.assemble(by_source)
    return World(
        f"poisoned-{split}-{setting}",
        data,
        kinds,
        data.counts.astype(float),
        *asked,
        *trained(64, (32,), setting, epochs=20, batch=32),
    )
