"""A task whose training diverges without one of its sources."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from torch import nn

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


def write_examples(path) -> None:
    """40 examples near 1 of every source; the anchor's are labelled 1."""
    rng = np.random.default_rng(0)
    sources = np.repeat([ANCHOR, *OTHERS], 40)
    features = 1 + 0.05 * rng.normal(size=(len(sources), 1)).astype(np.float32)
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(features.reshape(-1)), 1)
    labels = (sources == ANCHOR).astype(np.int64)
    pq.write_table(pa.table({"source": sources, "features": vectors, "label": labels}), path)
