"""Writes an index of runs: sorted on disk, in parts that each fit the memory.

Legend: N values of a piece, M runs.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from tribute.corpus.verbatim.hashing import BREAK, run_hashes

VALUES, BREAKS, HASHES, PLACES = "values.bin", "breaks.bin", "hashes.bin", "places.bin"
FILES = (VALUES, BREAKS, HASHES, PLACES)
MEMORY_BYTES = 2**26
"""Memory for the sorting of one part."""
MOST_PARTS = 256
SORTING = 4
"""Times the bytes of a part that its sorting takes."""
RECORD = np.dtype([("hash", "<u8"), ("place", "<u8")])
Pieces = Iterable[NDArray[np.integer]]
"""The values of a source in order, from 1; `BREAK` between its documents."""


@dataclass(frozen=True)
class IndexRecord:
    """What an index holds.

    Attributes:
        least: length of the shortest run that it finds for certain.
        size: k, the length of the runs that are hashed.
        step: every how many values such a run begins.
        dtype: of the values on disk.
        ends: where each source ends among the values: the place of the break behind it.
        sha256: of every file, by name.
    """

    least: int
    size: int
    step: int
    dtype: str
    ends: tuple[int, ...]
    sha256: dict[str, str]


def run_size(least: int) -> tuple[int, int]:
    """k and the step for runs of at least so many values: one of them lies within every such run.

    A run that begins anywhere has a multiple of `step` among its first `step` values, and k values after that one:
    k + step - 1 = least. With k about half of it, the index is smallest and runs of k are still rare.
    """
    size = least // 2 + 1
    return size, least - size + 1


def write_index(
    folder: Path, sources: Iterable[Pieces], least: int, dtype: str, values: int, memory: int = MEMORY_BYTES
) -> IndexRecord:
    """Write an index of the sources to an empty folder.

    It takes the size of the values, and 16 bytes for every `step` of them; as much again while it is written.

    Args:
        values: about how many there are.
        memory: bytes for sorting.
    """
    size, step = run_size(least)
    wanted = max(1, SORTING * RECORD.itemsize * values // step // memory)
    bits = min(wanted.bit_length(), MOST_PARTS.bit_length() - 1)
    parts = [folder / f"part-{number:03d}.bin" for number in range(2**bits)]
    with ExitStack() as stack:
        files = [stack.enter_context(path.open("wb")) for path in parts]
        kept, breaks = (stack.enter_context((folder / name).open("wb")) for name in (VALUES, BREAKS))
        ends = _write_values(_Stream(kept, breaks, np.dtype(dtype)), sources, size, step, files)
    with (folder / HASHES).open("wb") as hashes, (folder / PLACES).open("wb") as places:
        for path in parts:
            record_M = np.fromfile(path, RECORD)
            record_M = record_M[np.lexsort((record_M["place"], record_M["hash"]))]
            record_M["hash"].tofile(hashes)
            record_M["place"].tofile(places)
            path.unlink()
    return IndexRecord(least, size, step, dtype, tuple(ends), {name: _sha256(folder / name) for name in FILES})


class _Stream:
    """The values on disk, from a first break on, and the places of all breaks."""

    def __init__(self, values: BinaryIO, breaks: BinaryIO, dtype: np.dtype) -> None:
        self._values, self._breaks, self._dtype, self.written = values, breaks, dtype, 0
        self.add(np.array([BREAK], dtype))

    def add(self, value_N: NDArray) -> None:
        """Append values."""
        np.ascontiguousarray(value_N, self._dtype).tofile(self._values)
        (np.flatnonzero(value_N == BREAK) + self.written).astype("<u8").tofile(self._breaks)
        self.written += len(value_N)


def _write_values(
    stream: _Stream, sources: Iterable[Pieces], size: int, step: int, parts: Sequence[BinaryIO]
) -> list[int]:
    """Write values, and the runs that begin at multiples of `step` by the first bits of their hash."""
    ends, shift = list[int](), np.uint64(65 - len(parts).bit_length())
    for pieces in sources:
        rest_N = np.zeros(0, np.int64)  # the values before the piece that begin runs which end in it
        for piece_N in _with_break(pieces):
            value_N = np.concatenate([rest_N, piece_N])
            begin = stream.written - len(rest_N)
            stream.add(piece_N)
            hash_M, place_M = run_hashes(value_N, size, -begin % step, step)
            record_M = np.empty(len(hash_M), RECORD)
            record_M["hash"], record_M["place"] = hash_M, place_M + begin
            part_M = (hash_M >> shift).astype(np.int64) if len(parts) > 1 else np.zeros(len(hash_M), np.int64)
            for part in np.unique(part_M):
                record_M[part_M == part].tofile(parts[part])
            rest_N = value_N[max(len(value_N) - size + 1, 0) :]
        ends.append(stream.written - 1)
    return ends


def _with_break(pieces: Pieces) -> Iterator[NDArray]:
    yield from pieces
    yield np.array([BREAK])


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
