"""MNIST as a corpus of 20 unequal, label-skewed sources."""

import gzip
from pathlib import Path

import numpy as np
import yaml

DATA = Path(__file__).parents[3] / "shared" / "data" / "mnist"
SOURCES, EXAMPLES, QUERIES = 20, 5000, 1000
SETTINGS = {"smooth": ("gelu", 0.01), "rough": ("relu", 0.02)}


def label_skewed(labels: np.ndarray, sources: int, seed: int) -> np.ndarray:
    """A source for every example: unequal sizes (Dirichlet 1), few labels each (Dirichlet 0.3)."""
    rng = np.random.default_rng(seed)
    size = rng.dirichlet(np.full(sources, 1.0))
    mix = rng.dirichlet(np.full(10, 0.3), sources)
    weight = size[:, None] * mix
    return np.array([rng.choice(sources, p=weight[:, label] / weight[:, label].sum()) for label in labels])


def write_mnist_project(folder: Path, setting: str, horizon: float) -> Path:
    """A project of 5,000 examples over 20 sources, an MLP of 784-128-64-10 and 1,000 test queries."""
    folder.mkdir(parents=True, exist_ok=True)
    with gzip.open(DATA / "train-labels-idx1-ubyte.gz") as file:
        labels = np.frombuffer(file.read(), np.uint8, offset=8)[:EXAMPLES]
    assigned = label_skewed(labels, SOURCES, seed=7)
    (folder / "sources.txt").write_text("".join(f"source-{source:02d}\n" for source in assigned))
    activation, rate = SETTINGS[setting]
    settings = {
        "name": f"mnist-{setting}",
        "corpus": {
            "kind": "idx",
            "images": str(DATA / "train-images-idx3-ubyte.gz"),
            "labels": str(DATA / "train-labels-idx1-ubyte.gz"),
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
            "epochs": 5,
            "replicates": 3,
        },
        "simulation": {"horizon": horizon, "chunk": 10},
        "queries": {
            "kind": "idx",
            "images": str(DATA / "t10k-images-idx3-ubyte.gz"),
            "labels": str(DATA / "t10k-labels-idx1-ubyte.gz"),
            "limit": QUERIES,
        },
        "pool": {"amount": "100000.00", "currency": "EUR"},
    }
    path = folder / "project.yaml"
    path.write_text(yaml.safe_dump(settings, sort_keys=False))
    return path
