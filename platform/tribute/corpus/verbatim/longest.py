"""Of all shared runs the longest ones; and pairs of runs with an edit between them.

Legend: R runs.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tribute.corpus.verbatim.index import MaximalRuns


class SharedRun(NamedTuple):
    """A stretch of an answer that a source has too.

    Attributes:
        source: number of the source.
        begin: first value in the answer.
        end: the one after its last value in the answer.
        place: first value in the index.
        after: the one after its last value in the index.
        matched: values that are the same; fewer than either stretch where there is an edit.
        places: how many places of the source have the very same stretch; this is the first.
    """

    source: int
    begin: int
    end: int
    place: int
    after: int
    matched: int
    places: int = 1


def longest(runs: Sequence[SharedRun]) -> list[SharedRun]:
    """The runs that lie within no other run of their source, the longest first.

    Of runs over one stretch of the answer that with most values the same is kept, at its first place.
    """
    kept = list[SharedRun]()
    for run in sorted(runs, key=lambda each: (each.source, each.begin, -each.end, -each.matched, each.place)):
        last = kept[-1] if kept and kept[-1].source == run.source else None
        if last is None or run.end > last.end:
            kept.append(run)
        elif (run.begin, run.end, run.matched) == (last.begin, last.end, last.matched):
            kept[-1] = last._replace(places=last.places + 1)
    return sorted(kept, key=lambda each: (-each.matched, each.source, each.begin))


def shared_runs(found: MaximalRuns) -> list[SharedRun]:
    """Maximal runs as stretches."""
    columns = (each.tolist() for each in found)
    return [SharedRun(s, b, b + n, p, p + n, n) for s, b, p, n in zip(*columns, strict=True)]


def edited_runs(found: MaximalRuns, breaks: NDArray[np.uint64], least: int, edit: int) -> list[SharedRun]:
    """Stretches of two runs of at least `least` values each, with one edit between them.

    At most `edit` values of the answer stand in place of at most `edit` values of the source; one of the two may
    be none: values were added, or left out. Where two maximal runs overlap, the shared values count once. All lies
    within one document.

    Args:
        found: runs of at least `least` values.
        breaks: places between documents, in order.
    """
    joined, order_R = list[SharedRun](), np.lexsort((found.place_R, found.source_R))
    source_R, begin_R, place_R, length_R = (each[order_R] for each in found)
    document_R = np.searchsorted(breaks, place_R)
    end_R, after_R, farthest = begin_R + length_R, place_R + length_R, int(length_R.max(initial=0))
    for first in range(len(source_R)):
        low = np.searchsorted(place_R, place_R[first] - farthest)
        high = np.searchsorted(place_R, after_R[first] + edit, "right")
        other_R = np.arange(low, high)
        other_R = other_R[(document_R[other_R] == document_R[first]) & (other_R != first)]
        span_R, other_span_R = end_R[other_R] - begin_R[first], after_R[other_R] - place_R[first]
        matched_R = np.minimum(np.minimum(span_R, other_span_R), length_R[first] + length_R[other_R])
        edit_R = np.maximum(span_R, other_span_R) - matched_R
        fits_R = (edit_R > 0) & (edit_R <= edit) & (matched_R >= 2 * least)
        source, begin, place = int(source_R[first]), int(begin_R[first]), int(place_R[first])
        joined += [
            SharedRun(source, begin, int(end_R[other]), place, int(after_R[other]), matched)
            for other, matched in zip(other_R[fits_R].tolist(), matched_R[fits_R].tolist(), strict=True)
        ]
    return joined
