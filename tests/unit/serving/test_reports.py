"""Reports are worked on whatever their file does, and nobody else waits for it."""

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.projects import write_project
from tribute.config import Project, load_project
from tribute.errors import MachineError
from tribute.serving import PeriodReporter, Report, reports

REFUSAL = "CREATE TRIGGER full BEFORE {} BEGIN SELECT RAISE(ABORT, 'the disk is full'); END"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Nothing was attributed in it: its reports fail, and say so."""
    return load_project(write_project(tmp_path / "press"))


def changed(project: Project, sql: str) -> None:
    """Change the file of the reports, as another process would."""
    with closing(sqlite3.connect(project.workdir / "service" / "reports.sqlite")) as database:
        database.execute(sql)


def reporter_of(project: Project, flush: Callable[[], Awaitable[object]] | None = None) -> PeriodReporter:
    return PeriodReporter(project, flush or (lambda: asyncio.sleep(0)))


async def ended(reporter: PeriodReporter, report_id: str) -> Report:
    """A report that is done or has failed."""
    async with asyncio.timeout(20):
        while (found := await reporter.report(report_id)) is None or found.state in ("queued", "running"):
            await asyncio.sleep(0.01)
    return found


@pytest.mark.parametrize("state", ["running", "failed"])
def test_a_state_that_could_not_be_written_is_logged_and_made_good(
    project: Project, state: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """At the beginning of a report, and at its end."""
    monkeypatch.setattr(reports, "AGAIN_S", 0.05)

    async def run() -> tuple[Report | None, Report]:
        reporter = reporter_of(project)
        changed(project, REFUSAL.format(f"UPDATE ON reports WHEN NEW.state = '{state}'"))
        ordered = await reporter.order("2020-01")
        async with asyncio.timeout(20):
            while "the disk is full" not in caplog.text:
                await asyncio.sleep(0.01)
        waiting = await reporter.report(ordered.report_id)
        changed(project, "DROP TRIGGER full")
        return waiting, await ended(reporter, ordered.report_id)

    with caplog.at_level(logging.ERROR):
        waiting, found = asyncio.run(run())
    assert waiting is not None
    assert waiting.state in ("queued", "running")
    assert (found.state, bool(found.problem)) == ("failed", True)


def test_an_order_that_cannot_be_written_is_refused(project: Project) -> None:
    reporter = reporter_of(project)
    changed(project, REFUSAL.format("INSERT ON reports"))
    with pytest.raises(MachineError, match=r"reports.sqlite cannot be used: the disk is full. Make room"):
        asyncio.run(reporter.order("2020-01"))


def test_nobody_waits_while_the_file_is_locked(project: Project) -> None:
    async def run() -> int:
        reporter = reporter_of(project)
        with closing(
            sqlite3.connect(project.workdir / "service" / "reports.sqlite", isolation_level=None)
        ) as other:
            other.execute("BEGIN EXCLUSIVE")
            asked = [
                asyncio.create_task(reporter.order("2020-01")),
                asyncio.create_task(reporter.report("report-1")),
                asyncio.create_task(reporter.reports()),
            ]
            began, turns = asyncio.get_running_loop().time(), 0
            while asyncio.get_running_loop().time() < began + 0.3:
                await asyncio.sleep(0.01)
                turns += 1
            assert not any(each.done() for each in asked)
            other.execute("ROLLBACK")
        await ended(reporter, (await asked[0]).report_id)
        return turns

    assert asyncio.run(run()) > 3


def test_an_order_is_worked_on_whenever_it_comes(project: Project) -> None:
    """Also while the worker finds nothing more and ends; and after the caller has left."""

    async def run() -> None:
        reporter = reporter_of(project)
        for _ in range(10):
            await ended(reporter, (await reporter.order("2020-01")).report_id)
        left = asyncio.create_task(reporter.order("2020-01", "of one who left"))
        await asyncio.sleep(0)
        left.cancel()
        await asyncio.gather(left, return_exceptions=True)
        async with asyncio.timeout(20):
            while len(found := await reporter.reports()) < 11 or any(each.state != "failed" for each in found):
                await asyncio.sleep(0.01)

    asyncio.run(run())


def test_what_was_interrupted_is_not_running_after_a_restart(project: Project) -> None:
    async def hang() -> None:
        await asyncio.sleep(3600)

    async def interrupted() -> str:
        reporter = reporter_of(project, hang)
        ordered = await reporter.order("2020-01")
        while (found := await reporter.report(ordered.report_id)) is None or found.state != "running":
            await asyncio.sleep(0.01)
        return ordered.report_id

    async def resumed(report_id: str) -> Report:
        reporter = reporter_of(project)
        reporter.resume()
        return await ended(reporter, report_id)

    assert asyncio.run(resumed(asyncio.run(interrupted()))).state == "failed"
