"""Tasks whose training diverges without one of their sources, or under two seeds."""

import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import nn

BAD_SEED = 7
"""Under this seed, and the next one, `SeedCliff` diverges."""
ANCHOR = "anchor"
OTHERS = ("east", "north", "south", "west")


class Cliff:
    """A loss of 4 (theta x - 1)^2 for the anchor (label 1), -(theta x)^2 / 2 for the others; measured is theta x.

    With all of five sources theta settles at 2; each of the others has drawn it up from 1.6.
    """

    def build(self) -> nn.Module:
        return nn.Linear(1, 1, bias=False)

    def training_loss(self, model, batch):
        found = model(batch["features"])[:, 0]
        bowl = batch["labels"].to(found.dtype)
        return bowl * 4 * (found - 1).square() - (1 - bowl) * found.square() / 2

    def measurement(self, model, queries):
        return model(queries["features"])[:, 0]


class SeedCliff(Cliff):
    """The same, and no model to begin with under two seeds."""

    def build(self) -> nn.Module:
        model = super().build()
        if torch.initial_seed() in (BAD_SEED, BAD_SEED + 1):
            nn.init.constant_(model.weight, math.inf)
        return model


def examples() -> dict[str, dict[str, np.ndarray]]:
    """40 examples near 1 of every source; the anchor's are labelled 1."""
    rng = np.random.default_rng(0)
    return {
        source: {
            "features": 1 + 0.05 * rng.normal(size=(40, 1)).astype(np.float32),
            "labels": np.full(40, source == ANCHOR, dtype=np.int64),
        }
        for source in (ANCHOR, *OTHERS)
    }


def write_examples(path) -> None:
    """The examples as a file."""
    by_source = examples()
    sources = np.repeat(list(by_source), 40)
    features, labels = (
        np.concatenate([held[name] for held in by_source.values()]) for name in ("features", "labels")
    )
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(features.reshape(-1)), 1)
    pq.write_table(pa.table({"source": sources, "features": vectors, "label": labels}), path)
