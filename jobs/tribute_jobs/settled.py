"""Statements that are in the lake, and where their files lie."""

import json
from pathlib import Path
from typing import Any

from tribute.config import Project
from tribute_storage import connect


def statement_folder(project: Project, period: str, version: int) -> Path:
    """Where a settlement's files lie."""
    return project.workdir / "statements" / f"{period}-v{version}"


def statements_of_run(project: Project, run_id: str) -> list[dict[str, Any]]:
    """The statements that a run settled, the largest amount first."""
    return _read(project, "run_id = $1", run_id)


def latest_statements(project: Project, period: str) -> list[dict[str, Any]]:
    """A period's statements of the highest version, the largest amount first; none if it was not settled."""
    newest = "statement_version = (select max(statement_version) from statements where period = $1)"
    return _read(project, f"period = $1 and {newest}", period)


def _read(project: Project, condition: str, value: str) -> list[dict[str, Any]]:
    with connect(project.lake_root) as connection:
        rows = connection.execute(
            f"select json from statements where {condition} order by amount_minor desc, publisher_id", [value]
        ).fetchall()
    return [json.loads(text) for (text,) in rows]
