"""How a column of examples lies in a file, and a column that is read from mapped files as if it were an array.

A file holds the rows of a shard behind one another, integers in the narrowest type that holds them. Rows of tokens
that continue each other share one token, as windows of a text do: such rows are one stream, in which each token
lies once. The place of a row is arithmetic, from its number and the number of streams before it.

Legend: n rows of a shard, N of a column, B chosen rows, W tokens of a row, R streams of a shard, K shards.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

STREAMED = "tokens"
"""The column whose rows may continue each other."""
STREAMS = "streams"
"""The region of a file that holds the rows at which its streams begin."""
ALIGNED = 64
"""Every region of a file begins at a multiple of so many bytes."""
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class ColumnFormat:
    """How a column is stored.

    Attributes:
        dtype: of its values.
        stored: dtype in the file.
        least: what a stored integer is less than the value; -1 where there is padding.
        shape: of a row.
        streamed: whether rows that continue each other share a token.
    """

    dtype: str
    stored: str
    least: int
    shape: tuple[int, ...]
    streamed: bool

    @classmethod
    def of(cls, name: str, pieces: Sequence[NDArray]) -> "ColumnFormat":
        """The format that holds the values of all pieces, [n, ...] each."""
        dtype, shape = np.result_type(*pieces), pieces[0].shape[1:]
        stored, least = dtype, 0
        if dtype.kind in "iu":
            least = min(int(piece.min(initial=0)) for piece in pieces)
            stored = np.min_scalar_type(max(int(piece.max(initial=0)) for piece in pieces) - least)
        streamed = name == STREAMED and dtype.kind in "iu" and len(shape) == 1 and shape[0] > 0
        return cls(dtype.str, stored.str, least, shape, streamed)

    @property
    def row_bytes(self) -> int:
        """Bytes of a row that shares nothing."""
        return math.prod(self.shape) * np.dtype(self.stored).itemsize

    def numbers(self, rows: int, streams: int) -> int:
        """Stored numbers of some rows that make so many streams."""
        return rows * (self.shape[0] - 1) + streams if self.streamed else rows * math.prod(self.shape)

    def packed(self, value_n: NDArray, begin_R: Rows) -> NDArray:
        """Rows as they are stored, flat.

        Args:
            begin_R: the rows at which streams begin.
        """
        if self.dtype != self.stored:
            value_n = (value_n.astype(np.int64) - self.least).astype(self.stored)
        if not self.streamed:
            return np.ascontiguousarray(value_n, self.stored).reshape(-1)
        flat = np.empty(self.numbers(len(value_n), len(begin_R)), self.stored)
        is_first = np.zeros(len(flat), bool)
        is_first[begin_R * (self.shape[0] - 1) + np.arange(len(begin_R))] = True
        flat[is_first], flat[~is_first] = value_n[begin_R, 0], value_n[:, 1:].reshape(-1)
        return flat

    def rows(self, flat: NDArray, rows: int) -> NDArray:
        """Stored numbers as rows: of a stream at every place where one may begin, else one behind the other."""
        if self.streamed:
            return np.lib.stride_tricks.sliding_window_view(flat, self.shape[0])
        return flat.reshape(rows, *self.shape)


Formats = Mapping[str, ColumnFormat]
"""How the columns of a snapshot are stored, in the order of their names."""


def stream_begins(value_nW: NDArray, source_begins: Rows) -> Rows:
    """The rows at which streams begin: the first of a source, and any whose first token is not the last before."""
    follows_n = np.zeros(len(value_nW), bool)
    follows_n[1:] = value_nW[1:, 0] == value_nW[:-1, -1]
    follows_n[source_begins] = False
    return np.flatnonzero(~follows_n)


def regions(formats: Formats, rows: int, streams: int) -> list[tuple[str, np.dtype[Any], int]]:
    """What a file holds, in its order: name, dtype, and how many numbers."""
    columns = [(name, np.dtype(form.stored), form.numbers(rows, streams)) for name, form in formats.items()]
    return [(STREAMS, np.dtype(np.int64), streams), *columns]


def aligned(size: int) -> int:
    """Bytes up to the next region."""
    return -(-size // ALIGNED) * ALIGNED


def file_bytes(formats: Formats, rows: int, streams: int) -> int:
    """Size of a file."""
    return sum(aligned(numbers * dtype.itemsize) for _, dtype, numbers in regions(formats, rows, streams))


class MappedShard:
    """The columns of a shard in the bytes of its file, and where its streams begin."""

    def __init__(self, content: NDArray[np.uint8], formats: Formats, rows: int, streams: int) -> None:
        flat, place = dict[str, NDArray](), 0
        for name, dtype, numbers in regions(formats, rows, streams):
            flat[name] = content[place : place + numbers * dtype.itemsize].view(dtype)
            place += aligned(numbers * dtype.itemsize)
        self._begin_R, self._formats = flat[STREAMS], formats
        self._rows = {name: form.rows(flat[name], rows) for name, form in formats.items()}

    def stored(self, name: str, row_B: Rows) -> NDArray:
        """Some rows of a column as they are stored, [B, ...]."""
        form = self._formats[name]
        if form.streamed:
            stream_B = np.searchsorted(self._begin_R, row_B, side="right") - 1
            row_B = row_B * (form.shape[0] - 1) + stream_B
        return self._rows[name][row_B]


class MappedColumn:
    """A column in the files of several shards, [N, ...]: an index, a slice, or a mask gives an array of its rows.

    Args:
        first_K: the first row of every shard, and at the end the number of rows, [K + 1].
        shard: opens a shard by its number.
    """

    def __init__(self, name: str, form: ColumnFormat, first_K: Rows, shard: Callable[[int], MappedShard]) -> None:
        self._name, self._form, self._first_K, self._shard = name, form, first_K, shard
        self.shape: tuple[int, ...] = (int(first_K[-1]), *form.shape)
        self.dtype, self.ndim = np.dtype(form.dtype), len(self.shape)
        self.nbytes = math.prod(self.shape) * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, chosen: int | slice | ArrayLike) -> NDArray[Any]:
        if isinstance(chosen, slice):
            return self._take(np.arange(*chosen.indices(len(self))))
        index = np.asarray(chosen)
        if index.dtype == bool:
            if index.shape != self.shape[:1]:
                raise IndexError(f"A mask of {index.shape} rows for a column of {len(self)}")
            index = np.flatnonzero(index)
        if index.size and not (-len(self) <= index.min() and index.max() < len(self)):
            raise IndexError(f"Rows {index.min()} to {index.max()} of a column of {len(self)}")
        row_B = np.where(index < 0, index + len(self), index).astype(np.int64).reshape(-1)
        found: NDArray[Any] = self._take(row_B).reshape(*index.shape, *self.shape[1:])[()]
        return found

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return self[:].astype(dtype or self.dtype, copy=False)

    def _take(self, row_B: Rows) -> NDArray:
        found = np.empty((len(row_B), *self.shape[1:]), self.dtype)
        shard_B = np.searchsorted(self._first_K, row_B, side="right") - 1
        for shard in set(shard_B.tolist()):
            inside_B = shard_B == shard
            found[inside_B] = self._shard(shard).stored(self._name, row_B[inside_B] - self._first_K[shard])
        if self._form.least:
            found += self.dtype.type(self._form.least)
        return found


Column = NDArray[Any] | MappedColumn
"""A column of examples, [N, ...], in memory or in files."""


def blocks(column: Column, rows: int, begin: int = 0, end: int | None = None) -> Iterator[NDArray[Any]]:
    """The rows of a column from one to another, at most so many at once."""
    end = len(column) if end is None else end
    return (column[first : min(first + rows, end)] for first in range(begin, end, rows))
