"""MNIST as the published settings read it: the first images in the order of the file, normalised.

Legend: N images.
"""

import gzip
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.data import mnist_folder
from tribute.training import TrainingSet

MEAN, DEVIATION = 0.1307, 0.3081
PIXELS = 784
IMAGES_HEADER, LABELS_HEADER = 16, 8
Columns = Mapping[str, NDArray]


def first_images(part: str, count: int) -> Columns:
    """The first images of `train` or `t10k`: `features` [N, 784], float32, and `labels` [N]."""
    image_NP, label_N = _images(part)
    return _columns(image_NP[:count], label_N[:count])


def four_against_nine(part: str, count: int) -> Columns:
    """The first images of a 4 (label 0) or a 9 (label 1)."""
    image_NP, label_N = _images(part)
    chosen = np.flatnonzero((label_N == 4) | (label_N == 9))[:count]
    return _columns(image_NP[chosen], label_N[chosen] == 9)


def by_example(columns: Columns) -> TrainingSet:
    """A training set in which every example is a source."""
    count = len(columns["labels"])
    return TrainingSet(tuple(f"{n:05d}" for n in range(count)), np.arange(count), columns)


def _columns(image_NP: NDArray, label_N: NDArray) -> Columns:
    features_NP = (image_NP.astype(np.float32) / 255 - MEAN) / DEVIATION
    return {"features": features_NP.astype(np.float32), "labels": label_N.astype(np.int64)}


def _images(part: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    with gzip.open(mnist_folder() / f"{part}-images-idx3-ubyte.gz") as file:
        image_NP = np.frombuffer(file.read(), np.uint8, offset=IMAGES_HEADER).reshape(-1, PIXELS)
    with gzip.open(mnist_folder() / f"{part}-labels-idx1-ubyte.gz") as file:
        return image_NP, np.frombuffer(file.read(), np.uint8, offset=LABELS_HEADER)
