"""Reports of a period, valued in the background, one after the other; they outlive a restart."""

import asyncio
import json
import logging
import sqlite3
import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple

from tribute.catalog import attribution, period_queries, valuation_record, valuation_report, value_period
from tribute.config import Project
from tribute.errors import MachineError, TributeError
from tribute.royalty.exact.calendar import period_days
from tribute.tracking import track
from tribute_storage import Lake, LakeError
from tribute_storage.outbox import ContentConflict

State = Literal["queued", "running", "done", "failed"]
_TABLE = """
CREATE TABLE IF NOT EXISTS reports (
    report_id TEXT PRIMARY KEY, period TEXT NOT NULL, state TEXT NOT NULL, ordered TEXT NOT NULL, ended TEXT,
    value_run TEXT, problem TEXT, report TEXT, tracking_problem TEXT
)
"""
_COLUMNS = "report_id, period, state, ordered, ended, value_run, problem, report, tracking_problem"
AGAIN_S = 30.0
"""After that time the work on reports goes on, where their file could not be written."""
_log = logging.getLogger(__name__)


class Report(NamedTuple):
    """A report and how far it is.

    Attributes:
        value_run: the valuation; None before it is done.
        problem: why it failed.
        report: the publishers' values, as `tribute report --json` prints them.
        tracking_problem: why MLflow did not take it; the valuation stands all the same.
    """

    report_id: str
    period: str
    state: State
    ordered: str
    ended: str | None = None
    value_run: str | None = None
    problem: str | None = None
    report: dict[str, Any] | None = None
    tracking_problem: str | None = None


class ReportsFile:
    """The reports and their states, in one SQLite file. Its methods wait for the disk: call them in a thread.

    Raises:
        MachineError: of every method, if the disk refuses, or the file is damaged.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._database() as database:
            database.execute(_TABLE)

    def order(self, report_id: str, period: str) -> None:
        """Queue a report, unless it is known."""
        with self._database() as database:
            database.execute(
                "INSERT OR IGNORE INTO reports (report_id, period, state, ordered) VALUES (?, ?, 'queued', ?)",
                [report_id, period, _now()],
            )

    def report(self, report_id: str) -> Report | None:
        """A report; None: there is no such one."""
        with self._database() as database:
            row = database.execute(f"SELECT {_COLUMNS} FROM reports WHERE report_id = ?", [report_id]).fetchone()
        return None if row is None else _report(row)

    def newest(self, most: int) -> list[Report]:
        """The newest reports, without their content."""
        columns = _COLUMNS.replace(" report,", " NULL,")
        with self._database() as database:
            rows = database.execute(
                f"SELECT {columns} FROM reports ORDER BY ordered DESC LIMIT ?", [most]
            ).fetchall()
        return [_report(row) for row in rows]

    def requeue(self) -> None:
        """Queue again what was interrupted."""
        with self._database() as database:
            database.execute("UPDATE reports SET state = 'queued' WHERE state = 'running'")

    def begin(self) -> tuple[str, str] | None:
        """Id and period of the report that was queued first, which runs from now on; None: none is queued."""
        with self._database() as database:
            begun: list[tuple[str, str]] = database.execute(
                "UPDATE reports SET state = 'running' WHERE report_id = (SELECT report_id FROM reports "
                "WHERE state = 'queued' ORDER BY ordered, report_id LIMIT 1) RETURNING report_id, period"
            ).fetchall()
        return begun[0] if begun else None

    def end(self, report_id: str, state: State, values: dict[str, str | None]) -> None:
        """A report is done, or has failed."""
        named = "".join(f", {name} = ?" for name in values)
        with self._database() as database:
            database.execute(
                f"UPDATE reports SET state = ?, ended = ?{named} WHERE report_id = ?",
                [state, _now(), *values.values(), report_id],
            )

    @contextmanager
    def _database(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(self._path, isolation_level=None, timeout=30)) as database:
                yield database
        except sqlite3.Error as error:
            raise MachineError(
                f"The file of reports {self._path} cannot be used: {error}. Make room on its disk, and let the "
                "service write there"
            ) from error


class PeriodReporter:
    """Values periods on order. Independent of HTTP and Ray, within one event loop.

    Args:
        flush: brings recorded uses to the lake; called before a period is valued.
    """

    def __init__(self, project: Project, flush: Callable[[], Awaitable[object]]) -> None:
        self._project, self._flush = project, flush
        self._file = ReportsFile(project.workdir / "service" / "reports.sqlite")
        self._worker: asyncio.Task[None] | None = None
        self._ordering = set[asyncio.Task[None]]()
        self._is_asked = False

    async def order(self, period: str, key: str | None = None) -> Report:
        """Order the valuation of all uses of a period. The same key gives the same report.

        Raises:
            ConfigError: the period is no month.
            ContentConflict: the key came before with another period.
            MachineError: the order cannot be written down.
        """
        period_days(period)
        report_id = f"report-{uuid.uuid5(uuid.NAMESPACE_OID, key) if key else uuid.uuid4()}"
        ordering = asyncio.get_running_loop().create_task(self._order(report_id, period))
        self._ordering.add(ordering)
        ordering.add_done_callback(self._ordering.discard)
        await asyncio.shield(ordering)  # what is written down is worked on, also if the caller leaves meanwhile
        found = await self.report(report_id)
        assert found is not None
        if found.period != period:
            raise ContentConflict(
                f"This Idempotency-Key came before with an order of {found.period}, and this one is of {period}. "
                "Use a new key for every request, and the same one only to send a request again"
            )
        return found

    async def report(self, report_id: str) -> Report | None:
        """A report; None: there is no such one."""
        return await asyncio.to_thread(self._file.report, report_id)

    async def reports(self, most: int = 100) -> list[Report]:
        """The newest reports, without their content."""
        return await asyncio.to_thread(self._file.newest, most)

    def resume(self) -> None:
        """Work on what is ordered, and on what was interrupted."""
        self._is_asked = True  # a worker that is about to end looks once more
        if self._worker is None or self._worker.done():
            self._worker = asyncio.get_running_loop().create_task(self._work())

    async def _order(self, report_id: str, period: str) -> None:
        await asyncio.to_thread(self._file.order, report_id, period)
        self.resume()

    async def _work(self) -> None:
        while self._is_asked:
            self._is_asked = False
            try:
                await asyncio.to_thread(self._file.requeue)
                while (begun := await asyncio.to_thread(self._file.begin)) is not None:
                    await self._make(*begun)
            except Exception:
                _log.exception("The work on reports goes on in %.0f s", AGAIN_S)
                await asyncio.sleep(AGAIN_S)
                self._is_asked = True

    async def _make(self, report_id: str, period: str) -> None:
        state: State = "failed"
        try:
            await self._flush()
            values = await asyncio.to_thread(self._value, period)
            state = "done"
        except (TributeError, LakeError) as error:
            values = {"problem": str(error)}
        except Exception:
            _log.exception("Report %s of %s failed", report_id, period)
            values = {"problem": "The valuation failed. The log of the service says why"}
        await asyncio.to_thread(self._file.end, report_id, state, values)

    def _value(self, period: str) -> dict[str, str | None]:
        lake = Lake(self._project.lake_root)
        batch = attribution(self._project, period_queries(self._project, period), period).run_id
        valuation = value_period(lake, self._project, period, batch)
        problem = track(self._project, valuation_record(self._project, valuation))
        report = json.dumps(valuation_report(valuation))
        return {"value_run": valuation.run_id, "report": report, "tracking_problem": problem}


def _report(row: tuple[Any, ...]) -> Report:
    report = Report(*row)
    return report._replace(report=json.loads(row[7]) if row[7] else None)


def _now() -> str:
    return datetime.now(UTC).isoformat()
