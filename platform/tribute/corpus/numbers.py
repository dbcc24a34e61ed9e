"""Numbers as PyTorch takes them, unchanged: integers in signed types, floats in single precision."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tribute.errors import CorpusError

SIGNED: dict[int, type[np.int32] | type[np.int64]] = {2: np.int32, 4: np.int64, 8: np.int64}
"""The smallest signed type that holds every value of an unsigned one, by the bytes of the latter."""


def kept(values: NDArray, what: str) -> NDArray:
    """Numbers of any type in one that PyTorch computes with.

    Signed integers, bytes and booleans keep their type. Other unsigned integers, which PyTorch hardly supports,
    take the smallest signed type that holds them. Floats become single precision.

    Args:
        what: names the column in messages.

    Raises:
        CorpusError: a whole number would change.
    """
    if values.dtype.kind == "f":
        return single(values, what)
    if values.dtype.kind == "u" and values.dtype.itemsize in SIGNED:
        narrow = SIGNED[values.dtype.itemsize]
        if values.size and values.max() > np.iinfo(narrow).max:
            raise CorpusError(
                f"{what} holds {values.max()}, above {np.iinfo(narrow).max}, the largest integer of PyTorch. "
                "Renumber the values"
            )
        return values.astype(narrow)
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def single(values: NDArray, what: str) -> NDArray[np.float32]:
    """Numbers in single precision. Fractions are rounded; a column of whole numbers keeps every value.

    Raises:
        CorpusError: the column holds whole numbers only, and one of them has no single-precision value.
    """
    with np.errstate(over="ignore"):
        rounded = values.astype(np.float32)
    if values.dtype == np.float32 or (values.dtype.kind == "f" and (values != np.floor(values)).any()):
        return rounded
    changed = ~(np.isinf(rounded) | (rounded.astype(np.longdouble) == values.astype(np.longdouble)))
    if changed.any():
        raise CorpusError(
            f"{what} holds the whole number {int(values[changed][0])}, which single precision would change. Store "
            "ids as integers, in a column of a task of your own; divide measurements by a constant"
        )
    return rounded


def numbers(rows: Sequence[object] | NDArray) -> NDArray:
    """Nested lists of numbers as an array; integers stay integers, and an absent number is NaN.

    Raises:
        TypeError, ValueError: the lists have different lengths, or hold something else.
    """
    values = np.array(rows)
    if values.dtype.kind in "iufb":
        return values
    if values.dtype.kind != "O" or any(isinstance(each, str | bytes) for each in values.flat):
        raise TypeError("text is no number")
    return np.array(rows, dtype=np.float64)
