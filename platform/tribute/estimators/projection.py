"""Seeded random projections of vectors and of parameter matrices, the same on every device and machine.

Legend: B vectors (any leading shape), P values of each, k values after projection, d in a block.
"""

import math
from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tribute.errors import ConfigError

ENTRIES = ("rademacher", "gaussian")
ROWS_PER_DRAW = 1024
"""Rows of a matrix that are drawn together. Another number would change the matrix."""
CACHED_PROJECTIONS = 4
"""Matrices that a process keeps between uses."""


class Projection:
    """x -> x A / sqrt(k), with A [P, k] of random signs or standard normals; preserves dot products on average.

    If k >= P, x is returned unchanged. Signs are bits of numpy's PCG64, so they are the same everywhere. Normals
    are computed from these bits, so their last digit may depend on the release of numpy.

    Args:
        key: non-negative integers that identify the matrix.
        entries: `rademacher` or `gaussian`.
        cached_bytes: bytes of the matrix that are kept between calls; the remaining rows are drawn in each call.
    """

    def __init__(
        self, inputs: int, outputs: int, key: Sequence[int], entries: str, cached_bytes: int = 2**28
    ) -> None:
        self._inputs, self._key, self._entries = inputs, tuple(key), entries
        self.outputs, self._cached_bytes = min(inputs, outputs), cached_bytes
        self._cached: dict[tuple[int, torch.device], Tensor] = {}

    def __call__(self, values_BP: Tensor) -> Tensor:
        """Project [..., P] to [..., k], in the precision and on the device of the values."""
        if self.outputs == self._inputs:
            return values_BP
        projected_Bk = values_BP.new_zeros(*values_BP.shape[:-1], self.outputs)
        for begin in range(0, self._inputs, ROWS_PER_DRAW):
            projected_Bk += values_BP[..., begin : begin + ROWS_PER_DRAW] @ self._rows(begin, values_BP)
        return projected_Bk / math.sqrt(self.outputs)

    def lifted(self, values_Bk: Tensor) -> Tensor:
        """Apply the transpose, [B, k] to [B, P]: x . lifted(y) = projected(x) . y."""
        if self.outputs == self._inputs:
            return values_Bk
        begins = range(0, self._inputs, ROWS_PER_DRAW)
        lifted_BP = torch.cat([values_Bk @ self._rows(begin, values_Bk).T for begin in begins], 1)
        return lifted_BP / math.sqrt(self.outputs)

    def _rows(self, begin: int, like: Tensor) -> Tensor:
        place = (begin, like.device)
        if place in self._cached:
            return self._cached[place].to(like)
        shape = (min(ROWS_PER_DRAW, self._inputs - begin), self.outputs)
        rows = torch.from_numpy(_draw(shape, (*self._key, begin), self._entries)).to(like.device)
        if (begin + len(rows)) * self.outputs * rows.element_size() <= self._cached_bytes:
            self._cached[place] = rows
        return rows.to(like)


@lru_cache(maxsize=CACHED_PROJECTIONS)
def shared_projection(inputs: int, outputs: int, key: tuple[int, ...], entries: str) -> Projection:
    """A cached projection, for repeated use in a fit and the parts of a gather."""
    return Projection(inputs, outputs, key, entries)


class BlockProjection:
    """Two-sided projection of each parameter matrix W [out, in]: W -> L' W R with L [out, rank] and R [in, rank].

    A vector counts as a matrix with one row, a convolution kernel as [out, the rest]. A side of at most `rank` is
    not projected.
    """

    def __init__(self, shapes: Iterable[Sequence[int]], rank: int, seed: int, entries: str) -> None:
        self._matrices = [_matrix(shape) for shape in shapes]
        self._sides = [
            [Projection(side, rank, (seed, block, which), entries) for which, side in enumerate(matrix)]
            for block, matrix in enumerate(self._matrices)
        ]
        self.sizes = [left.outputs * right.outputs for left, right in self._sides]

    def __call__(self, values_BP: Tensor) -> list[Tensor]:
        """Project [B, P] to [B, d] for each block."""
        projected = []
        parts = values_BP.split([math.prod(matrix) for matrix in self._matrices], -1)
        for part, matrix, (left, right) in zip(parts, self._matrices, self._sides, strict=True):
            narrow = right(part.unflatten(-1, matrix))
            projected.append(left(narrow.mT).flatten(-2))
        return projected


def check_entries(entries: str) -> None:
    """Check that `entries` is one of `ENTRIES`; raises ConfigError."""
    if entries not in ENTRIES:
        raise ConfigError(f"entries is {entries!r}. Set it to one of {', '.join(ENTRIES)}")


def _matrix(shape: Sequence[int]) -> tuple[int, int]:
    return (shape[0], math.prod(shape[1:])) if len(shape) > 1 else (1, math.prod(shape))


def _draw(shape: tuple[int, int], key: Sequence[int], entries: str) -> NDArray:
    bits, count = np.random.PCG64(list(key)), math.prod(shape)
    if entries == "gaussian":
        return np.random.Generator(bits).standard_normal(shape).astype(np.float32)
    words = bits.random_raw(math.ceil(count / 64)).astype("<u8")
    signs = np.unpackbits(words.view(np.uint8), count=count).view(np.int8).reshape(shape)
    signs *= 2
    signs -= 1
    return signs
