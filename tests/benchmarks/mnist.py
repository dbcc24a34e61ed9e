"""MNIST as a corpus of unequal, label-skewed sources."""

import gzip
from pathlib import Path

import numpy as np
import yaml

from tests.benchmarks.data import mnist_folder

SOURCES, EXAMPLES = 20, 5000
SETTINGS = {"smooth": ("gelu", 0.01), "rough": ("relu", 0.02)}
EPOCHS = 5


SKEW = 0.3
"""Dirichlet parameter of a source's labels: the smaller, the fewer."""


def label_skewed(labels: np.ndarray, sources: int, seed: int, skew: float = SKEW) -> np.ndarray:
    """A source for every example: unequal sizes (Dirichlet 1), some labels more than others (Dirichlet `skew`)."""
    rng = np.random.default_rng(seed)
    size = rng.dirichlet(np.full(sources, 1.0))
    mix = rng.dirichlet(np.full(10, skew), sources)
    weight = size[:, None] * mix
    return np.array([rng.choice(sources, p=weight[:, label] / weight[:, label].sum()) for label in labels])


def assignment(labels: np.ndarray, sources: int, split: int, skew: float = SKEW) -> list[str]:
    """The source of every example; above 1,000 sources, those of 20 publishers, cut further at random."""
    if sources <= 1000:
        return [f"source-{source:03d}" for source in label_skewed(labels, sources, split, skew)]
    part = np.random.default_rng([split, sources]).integers(sources // SOURCES, size=len(labels))
    whole = label_skewed(labels, SOURCES, split, skew)
    return [f"source-{source:03d}-{index:03d}" for source, index in zip(whole, part, strict=True)]


def write_queries(folder: Path, chosen: range) -> dict[str, object]:
    """Some of the test images as IDX files of their own; the `queries` section that reads them."""
    names = {"images": ("t10k-images-idx3-ubyte.gz", 784, 16), "labels": ("t10k-labels-idx1-ubyte.gz", 1, 8)}
    for name, size, header in names.values():
        with gzip.open(mnist_folder() / name) as file:
            content = file.read()
        rows = content[header + chosen.start * size : header + chosen.stop * size]
        count = len(chosen).to_bytes(4, "big")
        (folder / name).write_bytes(gzip.compress(content[:4] + count + content[8:header] + rows, mtime=0))
    return {"kind": "idx"} | {key: name for key, (name, _, _) in names.items()}


def write_mnist_project(
    folder: Path,
    setting: str,
    horizon: float,
    *,
    sources: int = SOURCES,
    split: int = 7,
    queries: range = range(1000),
    examples: int = EXAMPLES,
    epochs: int = EPOCHS,
    skew: float = SKEW,
    **sections: object,
) -> Path:
    """A project of some examples, an MLP of 784-128-64-10 and some test images as queries."""
    folder.mkdir(parents=True, exist_ok=True)
    with gzip.open(mnist_folder() / "train-labels-idx1-ubyte.gz") as file:
        labels = np.frombuffer(file.read(), np.uint8, offset=8)[:examples]
    (folder / "sources.txt").write_text("".join(f"{s}\n" for s in assignment(labels, sources, split, skew)))
    activation, rate = SETTINGS[setting]
    settings = {
        "name": f"mnist-{setting}",
        "corpus": {
            "kind": "idx",
            "images": str(mnist_folder() / "train-images-idx3-ubyte.gz"),
            "labels": str(mnist_folder() / "train-labels-idx1-ubyte.gz"),
            "assignment": "sources.txt",
            "held_out": 0,
        },
        "task": {"name": "classifier", "options": {"hidden": [128, 64], "activation": activation}},
        "training": {
            "optimizer": "sgd",
            "learning_rate": rate,
            "momentum": 0.9,
            "schedule": "constant",
            "warmup": 0,
            "batch_size": 64,
            "epochs": epochs,
            "replicates": 3,
        },
        "simulation": {"horizon": horizon},
        "queries": write_queries(folder, queries),
        "pool": {"amount": "100000.00", "currency": "EUR"},
    }
    path = folder / "project.yaml"
    path.write_text(yaml.safe_dump(settings | sections, sort_keys=False))
    return path
