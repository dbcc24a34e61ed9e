"""Statements that are in the lake, and where their files lie."""

import json
from pathlib import Path
from typing import Any

from tribute.config import Project
from tribute_storage import connect

Statement = dict[str, Any]
NEWEST = "statement_version = (select max(statement_version) from statements where period = $1)"


def statement_folder(project: Project, period: str, version: int) -> Path:
    """Where a settlement's files lie."""
    return project.workdir / "statements" / f"{period}-v{version}"


def statements_of_run(project: Project, run_id: str) -> list[Statement]:
    """The statements that a run settled, the largest amount of a currency first."""
    return _read(project, "run_id = $1", run_id)


def latest_statements(project: Project, period: str) -> list[Statement]:
    """A period's statements of the highest version, the largest amount first; none if it was not settled."""
    return _read(project, f"period = $1 and {NEWEST}", period)


def statements_of_version(project: Project, period: str, version: int) -> list[Statement]:
    """A period's statements of a version."""
    return _read(project, f"period = $1 and statement_version = {int(version)}", period)


def run_of(project: Project, statement_id: str) -> str:
    """The run that committed a statement."""
    with connect(project.lake_root) as connection:
        [(run_id,)] = connection.execute(
            "select run_id from statements where statement_id = $1", [statement_id]
        ).fetchall()
    return str(run_id)


def latest_version(project: Project, period: str) -> tuple[int, bool]:
    """A period's newest version, 0 if there is none, and whether it is final."""
    with connect(project.lake_root) as connection:
        found = connection.execute(
            f"select statement_version, status = 'final' from statements where period = $1 and {NEWEST} limit 1",
            [period],
        ).fetchone()
    return (int(found[0]), bool(found[1])) if found else (0, False)


def final_statements(project: Project) -> list[tuple[Statement, str | None]]:
    """Every final statement with the reason of its version, by period, version and id."""
    with connect(project.lake_root) as connection:
        rows = connection.execute(
            "select json, reason from statements where status = 'final' "
            "order by period, statement_version, json->>'statement_id'"
        ).fetchall()
    return [(json.loads(text), reason) for text, reason in rows]


def _read(project: Project, condition: str, value: str) -> list[Statement]:
    with connect(project.lake_root) as connection:
        rows = connection.execute(
            f"select json from statements where {condition} order by currency, amount_minor desc, publisher_id",
            [value],
        ).fetchall()
    return [json.loads(text) for (text,) in rows]
