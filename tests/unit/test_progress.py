"""Progress of long work: figures, rates, and the clock that tells them."""

import threading
import time

import pytest

from tests.unit.reporting import Noted
from tribute.progress import LateLines, ProgressFigures, counted, memory_bytes, ticking

GIB = 2**30


@pytest.mark.parametrize(
    ("figures", "text"),
    [
        ((14, 24, 3.1, 194.0), "14 of 24 retrains, 3.1/min, about 3 min left, 1.2 GiB"),
        ((0.4, 2, 0.02, 4800.0), "0.4 of 2 retrains, 1.2/h, about 80 min left, 1.2 GiB"),
        ((12_000, 90_000, 1500.0, 3120.0), "12,000 of 90,000 retrains, 1,500/min, about 52 min left, 1.2 GiB"),
        ((0, 24, None, None), "0 of 24 retrains, 1.2 GiB"),
        ((None, None, None, None), "retrains, 40 s, 1.2 GiB"),
    ],
)
def test_figures_read_as_a_line(figures: tuple, text: str) -> None:
    done, total, rate, left = figures
    told = ProgressFigures("evaluate", "retrains", done, total, rate, left, 40.0, int(1.2 * GIB))
    assert told.text() == text


def test_a_step_that_counts_nothing_is_told_every_period() -> None:
    noted = Noted(every_s=0.01)
    noted.started("corpus", "corpus-1")
    noted.wait(3)
    noted.close()
    told = len(noted.told)
    time.sleep(0.05)
    assert told == len(noted.told) >= 3
    assert all(each.stage == "corpus" and each.done is None for each in noted.told)
    assert noted.told[-1].seconds > noted.told[0].seconds > 0


def test_the_rate_is_that_of_the_work_since_the_first_count() -> None:
    """What was found finished at the start says nothing of the rest."""
    noted = Noted(every_s=60)
    noted.started("simulate", "simulate-1")
    noted.advanced(20, 24)
    time.sleep(0.1)
    noted.advanced(21, 24)
    figures = noted.figures()
    noted.close()
    assert figures.per_minute is not None and figures.per_minute <= 60 / 0.1
    assert figures.seconds_left == pytest.approx(3 * 60 / figures.per_minute)


def test_a_part_is_counted_anew() -> None:
    noted = Noted(every_s=60)
    noted.started("evaluate", "evaluate-1")
    noted.advanced(3, 4)
    noted.working("retrains")
    assert noted.figures()[:4] == ("evaluate", "retrains", None, None)
    noted.advanced(1, 9)
    noted.close()
    assert noted.figures()[:5] == ("evaluate", "retrains", 1, 9, None)


def test_a_clock_that_nobody_reads_ends_and_the_work_goes_on() -> None:
    calls = []

    def broken() -> None:
        calls.append(threading.current_thread().name)
        raise BrokenPipeError

    with ticking(0.01, broken):
        time.sleep(0.1)
    assert len(calls) == 1 and calls[0] != threading.current_thread().name


def test_short_work_in_a_program_is_silent_and_long_work_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    for every_s in (60, 0.01):
        lines = LateLines(every_s)
        lines.started("train", "")
        time.sleep(0.1)
        lines.close()
        out, err = capsys.readouterr()
        assert out == "" and bool(err) == (every_s < 1)
    assert err.startswith("tribute: train  at work, 0 s, ")


def test_a_stage_inside_another_is_a_part_of_it() -> None:
    lines = LateLines()
    with lines.telling("evaluate"), lines.telling("train"):
        assert lines.figures().stage == "evaluate"


def test_memory_grows_with_what_the_process_holds() -> None:
    before = memory_bytes()
    held = bytearray(b"x" * 2**27)
    assert memory_bytes() - before > 0.9 * len(held)


def test_counted_items_are_told_when_they_are_done_with() -> None:
    told = []
    for _ in counted("abc", lambda done, total: told.append((done, total))):
        pass
    assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]


def test_a_million_counts_are_few_samples() -> None:
    noted = LateLines()
    noted.started("corpus", "")
    for done in range(100_000):
        noted.advanced(done, 100_000)
    figures = noted.figures()
    noted.close()
    assert len(noted._samples) <= 10 and figures.done == 99_999 and figures.per_minute is not None
