"""Reports of a period, valued in the background, one after the other; they outlive a restart."""

import asyncio
import json
import logging
import sqlite3
import uuid
from collections.abc import Awaitable, Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple

from tribute.catalog import attribution, period_queries, valuation_record, valuation_report, value_period
from tribute.config import Project
from tribute.errors import TributeError
from tribute.royalty.exact.calendar import period_days
from tribute.tracking import track
from tribute_storage import Lake, LakeError

State = Literal["queued", "running", "done", "failed"]
_TABLE = """
CREATE TABLE IF NOT EXISTS reports (
    report_id TEXT PRIMARY KEY, period TEXT NOT NULL, state TEXT NOT NULL, ordered TEXT NOT NULL, ended TEXT,
    value_run TEXT, problem TEXT, report TEXT, tracking_problem TEXT
)
"""
_COLUMNS = "report_id, period, state, ordered, ended, value_run, problem, report, tracking_problem"
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


class PeriodReporter:
    """Values periods on order. Independent of HTTP and Ray, within one event loop.

    Args:
        flush: brings recorded uses to the lake; called before a period is valued.
    """

    def __init__(self, project: Project, flush: Callable[[], Awaitable[object]]) -> None:
        self._project, self._flush = project, flush
        self._path = project.workdir / "service" / "reports.sqlite"
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._database() as database:
            database.execute(_TABLE)
            database.execute("UPDATE reports SET state = 'queued' WHERE state = 'running'")  # it was interrupted
        self._worker: asyncio.Task[None] | None = None

    async def order(self, period: str, key: str | None = None) -> Report:
        """Order the valuation of all uses of a period. The same key gives the same report.

        Raises:
            ConfigError: the period is no month.
        """
        period_days(period)
        report_id = f"report-{uuid.uuid5(uuid.NAMESPACE_OID, key) if key else uuid.uuid4()}"
        with self._database() as database:
            database.execute(
                "INSERT OR IGNORE INTO reports (report_id, period, state, ordered) VALUES (?, ?, 'queued', ?)",
                [report_id, period, _now()],
            )
        self.resume()
        found = await self.report(report_id)
        assert found is not None
        return found

    async def report(self, report_id: str) -> Report | None:
        """A report; None: there is no such one."""
        with self._database() as database:
            row = database.execute(f"SELECT {_COLUMNS} FROM reports WHERE report_id = ?", [report_id]).fetchone()
        return None if row is None else _report(row)

    async def reports(self, most: int = 100) -> list[Report]:
        """The newest reports, without their content."""
        columns = _COLUMNS.replace(" report,", " NULL,")
        with self._database() as database:
            rows = database.execute(
                f"SELECT {columns} FROM reports ORDER BY ordered DESC LIMIT ?", [most]
            ).fetchall()
        return [_report(row) for row in rows]

    def resume(self) -> None:
        """Work on what is ordered, unless this is being done."""
        if self._worker is None or self._worker.done():
            self._worker = asyncio.get_running_loop().create_task(self._work())

    async def _work(self) -> None:
        while (found := self._next()) is not None:
            report_id, period = found
            self._set(report_id, state="running")
            try:
                await self._flush()
                done = await asyncio.to_thread(self._value, period)
            except (TributeError, LakeError) as error:
                self._set(report_id, state="failed", ended=_now(), problem=str(error))
            except Exception:
                _log.exception("Report %s of %s failed", report_id, period)
                problem = "The valuation failed. The log of the service says why"
                self._set(report_id, state="failed", ended=_now(), problem=problem)
            else:
                self._set(report_id, state="done", ended=_now(), **done)

    def _value(self, period: str) -> dict[str, str | None]:
        lake = Lake(self._project.lake_root)
        batch = attribution(self._project, period_queries(self._project, period), period).run_id
        valuation = value_period(lake, self._project, period, batch)
        problem = track(self._project, valuation_record(self._project, valuation))
        report = json.dumps(valuation_report(valuation))
        return {"value_run": valuation.run_id, "report": report, "tracking_problem": problem}

    def _next(self) -> tuple[str, str] | None:
        with self._database() as database:
            row: tuple[str, str] | None = database.execute(
                "SELECT report_id, period FROM reports WHERE state = 'queued' ORDER BY ordered, report_id LIMIT 1"
            ).fetchone()
        return row

    def _set(self, report_id: str, **values: str | None) -> None:
        named = ", ".join(f"{name} = ?" for name in values)
        with self._database() as database:
            database.execute(f"UPDATE reports SET {named} WHERE report_id = ?", [*values.values(), report_id])

    def _database(self) -> "closing[sqlite3.Connection]":
        return closing(sqlite3.connect(self._path, isolation_level=None, timeout=30))


def _report(row: tuple[Any, ...]) -> Report:
    report = Report(*row)
    return report._replace(report=json.loads(row[7]) if row[7] else None)


def _now() -> str:
    return datetime.now(UTC).isoformat()


def reports_file(project: Project) -> Path:
    """The file of the reports."""
    return project.workdir / "service" / "reports.sqlite"
