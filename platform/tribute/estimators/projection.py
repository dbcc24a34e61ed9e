"""Seeded random projections, the same on every device and machine, of vectors and of a model's matrices.

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
ROWS = 1024
"""Rows of a matrix that are drawn together; another number would be another matrix."""
HELD = 2**28
"""Bytes of a matrix that are kept between calls; the rows beyond them are drawn anew each time."""
SHARED = 4
"""Matrices that a process keeps from one use to the next."""


class Projection:
    """x -> x A / sqrt(k), with A [P, k] of random signs or standard normals: keeps dot products on average.

    Where k is not below P, x stays as it is. Signs are the bits of numpy's PCG64 and so the same everywhere;
    normals are computed from these, so that their last digit may depend on the release of numpy.

    Args:
        key: non-negative integers that name the matrix.
        entries: `rademacher` or `gaussian`.
    """

    def __init__(self, inputs: int, outputs: int, key: Sequence[int], entries: str) -> None:
        self._inputs, self._key, self._entries = inputs, tuple(key), entries
        self.outputs = min(inputs, outputs)
        self._held: dict[tuple[int, torch.device], Tensor] = {}

    def __call__(self, values_BP: Tensor) -> Tensor:
        """[..., P] to [..., k], in the precision and on the device of the values."""
        if self.outputs == self._inputs:
            return values_BP
        found_Bk = values_BP.new_zeros(*values_BP.shape[:-1], self.outputs)
        for begin in range(0, self._inputs, ROWS):
            found_Bk += values_BP[..., begin : begin + ROWS] @ self._rows(begin, values_BP)
        return found_Bk / math.sqrt(self.outputs)

    def lifted(self, values_Bk: Tensor) -> Tensor:
        """Back to all dimensions, [B, k] to [B, P]: x . lifted(y) is projected(x) . y."""
        if self.outputs == self._inputs:
            return values_Bk
        begins = range(0, self._inputs, ROWS)
        found_BP = torch.cat([values_Bk @ self._rows(begin, values_Bk).T for begin in begins], 1)
        return found_BP / math.sqrt(self.outputs)

    def _rows(self, begin: int, like: Tensor) -> Tensor:
        place = (begin, like.device)
        if place in self._held:
            return self._held[place].to(like)
        shape = (min(ROWS, self._inputs - begin), self.outputs)
        rows = torch.from_numpy(_draw(shape, (*self._key, begin), self._entries)).to(like.device)
        if (begin + len(rows)) * self.outputs * rows.element_size() <= HELD:
            self._held[place] = rows
        return rows.to(like)


@lru_cache(maxsize=SHARED)
def shared_projection(inputs: int, outputs: int, key: tuple[int, ...], entries: str) -> Projection:
    """A projection that is drawn once for many uses, such as a fit and the parts of a gather."""
    return Projection(inputs, outputs, key, entries)


class BlockProjection:
    """Every parameter matrix W [out, in] on its own: W -> L' W R with L [out, rank] and R [in, rank].

    A vector counts as a matrix of one row, a convolution's kernel as [out, the rest]. A side up to `rank`
    long stays as it is.
    """

    def __init__(self, shapes: Iterable[Sequence[int]], rank: int, seed: int, entries: str) -> None:
        self._matrices = [_matrix(shape) for shape in shapes]
        self._sides = [
            [Projection(side, rank, (seed, block, which), entries) for which, side in enumerate(matrix)]
            for block, matrix in enumerate(self._matrices)
        ]
        self.sizes = [left.outputs * right.outputs for left, right in self._sides]

    def __call__(self, values_BP: Tensor) -> list[Tensor]:
        """[B, P] to [B, d] for each block."""
        found = []
        parts = values_BP.split([math.prod(matrix) for matrix in self._matrices], -1)
        for part, matrix, (left, right) in zip(parts, self._matrices, self._sides, strict=True):
            narrow = right(part.unflatten(-1, matrix))
            found.append(left(narrow.mT).flatten(-2))
        return found


def check_entries(entries: str) -> None:
    """Raises ConfigError unless the entries are of a kind that there is."""
    if entries not in ENTRIES:
        raise ConfigError(f"entries is one of {', '.join(ENTRIES)}; got {entries!r}")


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
