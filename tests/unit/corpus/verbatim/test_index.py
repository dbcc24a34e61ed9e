"""Runs out of an index on disk, against dynamic programming over all pairs of places."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tribute.corpus.verbatim import writing
from tribute.corpus.verbatim.hashing import BREAK, run_hashes
from tribute.corpus.verbatim.index import RunIndex
from tribute.corpus.verbatim.longest import edited_runs, longest, shared_runs
from tribute.corpus.verbatim.writing import run_size, write_index

Run = tuple[int, int, int, int]
"""Source, first value in the answer, first value in the index, length."""
Values = st.lists(st.integers(0, 2), max_size=40).map(lambda each: np.array(each, np.int64))

Words = st.lists(st.integers(1, 2), max_size=40).map(lambda each: np.array(each, np.int64))


def opened(folder: Path, sources: Sequence[NDArray], least: int, piece: int = 7, memory: int = 2**26) -> RunIndex:
    pieces = [[source[i : i + piece] for i in range(0, len(source), piece)] for source in sources]
    return RunIndex(folder, write_index(folder, pieces, least, "<u2", sum(map(len, sources)), memory))


def lengths(answer: NDArray, values: NDArray) -> NDArray[np.int64]:
    """How long the common run is that ends at each pair of places, one after another."""
    length = np.zeros((len(answer) + 1, len(values) + 1), np.int64)
    for i, one in enumerate(answer):
        for j, other in enumerate(values):
            if one == other and one != BREAK:
                length[i + 1, j + 1] = length[i, j] + 1
    return length


def all_runs(answer: NDArray, sources: Sequence[NDArray], least: int) -> list[Run]:
    """All maximal runs, the stupid way. A source begins behind the break that ends the one before it."""
    found, begin = [], 1
    for number, source in enumerate(sources):
        length = np.pad(lengths(answer, source), ((0, 1), (0, 1)))
        for i, j in np.argwhere(length >= least):
            if length[i + 1, j + 1] == 0:
                size = int(length[i, j])
                found.append((number, int(i) - size, begin + int(j) - size, size))
        begin += len(source) + 1
    return sorted(found)


@given(Values, st.lists(Values, min_size=1, max_size=3), st.integers(1, 9), st.integers(1, 50))
@settings(max_examples=150, deadline=None)
def test_all_maximal_runs_are_found(answer: NDArray, sources: list[NDArray], least: int, piece: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        index = opened(Path(folder), sources, least, piece, memory=64)
        found = [tuple(each) for each in np.stack(index.runs(answer), 1).tolist()]
        expected = all_runs(answer, sources, least)
        assert found == expected
        longer = index.runs(answer, least + 2)
        assert [tuple(each) for each in np.stack(longer, 1).tolist()] == [r for r in expected if r[3] >= least + 2]


@given(Values, st.lists(Values, min_size=1, max_size=2), st.integers(1, 4))
@settings(max_examples=100, deadline=None)
def test_the_longest_are_those_within_no_other(answer: NDArray, sources: list[NDArray], least: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = longest(shared_runs(opened(Path(folder), sources, least).runs(answer)))
    expected = all_runs(answer, sources, least)
    stretches = {(s, b, b + n) for s, b, _, n in expected}
    kept = {
        (s, b, e)
        for s, b, e in stretches
        if not any(s == t and c <= b and e <= f and (b, e) != (c, f) for t, c, f in stretches)
    }
    assert {(each.source, each.begin, each.end) for each in found} == kept
    assert [each.matched for each in found] == sorted((e - b for _, b, e in kept), reverse=True)
    for each in found:
        same = [p for s, b, p, n in expected if (s, b, b + n) == (each.source, each.begin, each.end)]
        assert (each.place, each.places) == (min(same), len(same))


def edited(answer: NDArray, source: NDArray, least: int, edit: int) -> int:
    """Most values the same in two runs with one edit between them: all pairs of ends are tried."""
    length, best = lengths(answer, source), 0
    for i, j in np.argwhere(length >= least):  # the first run ends here
        for added in range(edit + 1):
            for left_out in range(edit + 1):
                begin, place = i + added, j + left_out
                size = 0
                while begin + size < len(answer) and place + size < len(source):
                    if answer[begin + size] != source[place + size] or answer[begin + size] == BREAK:
                        break
                    size += 1
                within = BREAK not in source[j:place]
                if within and size >= least and not np.array_equal(answer[i:begin], source[j:place]):
                    best = max(best, int(length[i, j]) + size)
    return best


@given(Words, Values, st.integers(1, 4), st.integers(1, 3))
@settings(max_examples=150, deadline=None)
def test_the_best_edited_run_is_found(answer: NDArray, source: NDArray, least: int, edit: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        index = opened(Path(folder), [source], least)
        found = edited_runs(index.runs(answer), index.breaks, least, edit)
    assert max((each.matched for each in found), default=0) == edited(answer, source, least, edit)
    for each in found:
        assert each.matched <= min(each.end - each.begin, each.after - each.place)
        assert max(each.end - each.begin, each.after - each.place) - each.matched <= edit


def test_an_index_is_sorted_in_parts_and_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the parts, the files are the same; and 16 bytes are written for every step of values."""
    source = np.random.default_rng(0).integers(1, 5, 20_000)
    (tmp_path / "one").mkdir()
    (tmp_path / "many").mkdir()
    one = opened(tmp_path / "one", [source], 30, piece=20_000)
    many = opened(tmp_path / "many", [source], 30, piece=333, memory=2000)
    assert one.record == many.record
    assert sorted(path.name for path in (tmp_path / "many").iterdir()) == sorted(writing.FILES)
    assert (one.record.size, one.record.step) == (16, 15)
    written = sum((tmp_path / "many" / name).stat().st_size for name in (writing.HASHES, writing.PLACES))
    assert written == pytest.approx(16 * 20_000 / 15, rel=0.01)
    run = source[7_001:7_200]
    found = many.runs(run)
    assert [int(each[0]) for each in found] == [0, 0, 7_002, 199]
    with pytest.raises(ValueError, match="from 30 values, not from 29"):
        many.runs(run, 29)
    monkeypatch.setattr("tribute.corpus.verbatim.index.CANDIDATES", 3)
    assert all(np.array_equal(*pair) for pair in zip(many.runs(run), found, strict=True))


def test_what_is_everywhere_is_no_evidence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a run that holds something rarer is found, and then as a whole."""
    rng = np.random.default_rng(2)
    rare = rng.integers(1, 200, 40)
    source = np.concatenate([np.ones(2_000, np.int64), rare, np.ones(2_000, np.int64)])
    index = opened(tmp_path, [source], 30)
    answer = np.concatenate([[7], np.ones(50, np.int64), rare, np.ones(50, np.int64), [7]])
    everything = shared_runs(index.runs(answer))
    monkeypatch.setattr("tribute.corpus.verbatim.index.COMMON", 100)
    assert [(run.begin, run.end) for run in longest(shared_runs(index.runs(answer)))] == [(1, 141)]
    assert longest(everything)[0] == longest(shared_runs(index.runs(answer)))[0]
    assert len(everything) > 1_000


@given(st.integers(1, 200))
def test_every_run_holds_one_that_is_hashed(least: int) -> None:
    size, step = run_size(least)
    assert size + step - 1 == least and size >= step


def test_equal_hashes_mean_equal_runs_here() -> None:
    value = np.random.default_rng(1).integers(1, 3, 5_000)
    hashed, place = run_hashes(value, 8)
    runs = {value[i : i + 8].tobytes() for i in place}
    assert len(set(hashed.tolist())) == len(runs) <= 256
