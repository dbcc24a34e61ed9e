"""Looks up the runs that an answer shares with sources, in an index on disk.

Legend: n values of an answer, M candidates, R runs.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tribute.corpus.verbatim.hashing import BREAK, run_hashes
from tribute.corpus.verbatim.writing import BREAKS, HASHES, PLACES, VALUES, IndexRecord

CANDIDATES = 2**17
"""Places that are compared with the answer at once."""
COMMON = 10_000
"""Places of a run of k in the index beyond which it is no evidence: a row of spaces, or the phrase of a form."""
Places = NDArray[np.int64]


class MaximalRuns(NamedTuple):
    """Runs that cannot be extended to either side, [R] each: where they begin, in which source, how long they are.

    Attributes:
        source_R: number of the source.
        begin_R: first value in the answer.
        place_R: first value in the index.
        length_R: values.
    """

    source_R: Places
    begin_R: Places
    place_R: Places
    length_R: Places


class RunIndex:
    """An index that is mapped into memory: a look-up reads the pages that it touches."""

    def __init__(self, folder: Path, record: IndexRecord) -> None:
        self.record = record
        self.values = _mapped(folder / VALUES, record.dtype)
        self.breaks, self._hashes, self._places = (
            _mapped(folder / name, "<u8") for name in (BREAKS, HASHES, PLACES)
        )
        self._ends = np.array(record.ends, np.int64)

    def runs(self, answer: NDArray[np.integer], least: int | None = None) -> MaximalRuns:
        """All maximal runs of at least `least` values that the answer shares with a source, by source and answer.

        A run is missed only where each of its runs of k that are in the index has more than `COMMON` places there.

        Args:
            answer: values as in the index, [n]; `BREAK` equals nothing.
            least: at least that of the index, which is what None stands for.

        Raises:
            ValueError: `least` is below that of the index, which would miss runs.
        """
        least = self.record.least if least is None else least
        if least < self.record.least:
            raise ValueError(f"the index finds runs from {self.record.least} values, not from {least}")
        answer_n = np.concatenate([[BREAK], answer.astype(np.int64), [BREAK]])
        found = [np.zeros((0, 3), np.int64)]
        for begin_M, place_M in self._candidates(answer_n):
            same_M = self._same(answer_n, begin_M, place_M)
            found.append(
                self._extended(answer_n, *_first_of_chains(begin_M[same_M], place_M[same_M], self.record.step))
            )
        run_R3 = np.unique(np.concatenate(found), axis=0)
        begin_R, place_R, length_R = run_R3[run_R3[:, 2] >= least].T
        source_R = np.searchsorted(self._ends, place_R)
        order_R = np.lexsort((place_R, begin_R, source_R))
        runs = (each[order_R] for each in (source_R, begin_R - 1, place_R, length_R))
        return MaximalRuns(*runs)

    def document_of(self, place: int) -> int:
        """The number of the document of a value, among those of all sources."""
        return int(np.searchsorted(self.breaks, place)) - 1

    def span_of(self, document: int) -> tuple[int, int]:
        """The first value of a document, and the one after its last."""
        return int(self.breaks[document]) + 1, int(self.breaks[document + 1])

    def first_document(self, source: int) -> int:
        """The number of a source's first document."""
        return self.document_of(self.record.ends[source - 1] + 1) if source else 0

    def _candidates(self, answer_n: Places) -> Iterator[tuple[Places, Places]]:
        """Runs of k in the answer and the places with the same hash, some at a time."""
        hash_M, begin_M = run_hashes(answer_n, self.record.size)
        first_M, after_M = (np.searchsorted(self._hashes, hash_M, side) for side in ("left", "right"))
        rare_M = after_M - first_M <= COMMON
        begin_M, first_M, after_M = begin_M[rare_M], first_M[rare_M], after_M[rare_M]
        total = np.concatenate([[0], np.cumsum(after_M - first_M)])
        for low in range(0, int(total[-1]), CANDIDATES):
            number = np.arange(low, min(low + CANDIDATES, int(total[-1])))
            run = np.searchsorted(total, number, "right") - 1
            yield begin_M[run], self._places[first_M[run] + number - total[run]].astype(np.int64)

    def _same(self, answer_n: Places, begin_M: Places, place_M: Places) -> NDArray[np.bool_]:
        """Whether candidates are what their hash says."""
        same_M = np.ones(len(begin_M), bool)
        for offset in range(self.record.size):
            same_M &= answer_n[begin_M + offset] == self.values[place_M + offset]
        return same_M

    def _extended(self, answer_n: Places, begin_M: Places, place_M: Places) -> Places:
        """Begin, place and length of the maximal runs around shared runs of k, [M, 3]."""
        before_M = self._shared(answer_n, begin_M - 1, place_M - 1, -1)
        after_M = self._shared(answer_n, begin_M, place_M, 1)
        return np.stack([begin_M - before_M, place_M - before_M, before_M + after_M], 1)

    def _shared(self, answer_n: Places, begin_M: Places, place_M: Places, way: int) -> Places:
        """How many values are the same from a pair of places on; both texts end in breaks."""
        length_M, active = np.zeros(len(begin_M), np.int64), np.arange(len(begin_M))
        while len(active):
            one = answer_n[begin_M[active] + way * length_M[active]]
            other = self.values[place_M[active] + way * length_M[active]]
            active = active[(one == other) & (one != BREAK)]
            length_M[active] += 1
        return length_M


def _first_of_chains(begin_M: Places, place_M: Places, step: int) -> tuple[Places, Places]:
    """The candidates without one `step` before them, which lies in the same run."""
    width = step * (int(begin_M.max(initial=0)) + 1)
    shift_M = place_M - begin_M
    key_M = shift_M * width + begin_M
    first_M = ~np.isin(key_M - step, key_M)
    return begin_M[first_M], place_M[first_M]


def _mapped(path: Path, dtype: str) -> NDArray:
    return np.memmap(path, dtype, "r") if path.stat().st_size else np.zeros(0, dtype)
