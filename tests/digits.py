"""Real handwritten digits, from the ones that ship with scikit-learn, dealt to sources."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

Columns = dict[str, NDArray]


@lru_cache(maxsize=1)
def _shuffled() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    features, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(labels))
    return (features[order] / 16).astype(np.float32), labels[order].astype(np.int64)


def digits(counts: dict[str, int], first: int = 0) -> dict[str, Columns]:
    """This many digits for every source, no digit twice."""
    features, labels = _shuffled()
    bounds = first + np.cumsum([0, *counts.values()])
    return {
        source: {"features": features[begin:end], "labels": labels[begin:end]}
        for source, begin, end in zip(counts, bounds, bounds[1:], strict=False)
    }
