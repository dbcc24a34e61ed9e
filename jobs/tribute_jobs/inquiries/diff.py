"""`tribute diff`: what moved between two periods, or two versions of one."""

import json
import re
from dataclasses import asdict

from tribute.config import Project
from tribute.errors import MoneyError
from tribute.royalty.document import Statement
from tribute.royalty.exact.calendar import period_days
from tribute.royalty.render import comparison_text
from tribute_jobs.period.statements import changes, latest_statements, statements_of_version
from tribute_storage import open_tables

SIDE = re.compile(r"(?P<period>[^:]+)(?::v(?P<version>\d+))?")


def print_difference(project: Project, before: str, after: str, as_json: bool) -> None:
    """Compare two sides, each a period such as 2026-10 (its newest version) or a version such as 2026-10:v1.

    Raises:
        ConfigError, MoneyError: a side is not one, or is not settled.
    """
    old, new = _statements(project, before), _statements(project, after)
    found = changes(project, old, new)
    if as_json:
        content = asdict(found)
        for moves in (content["publishers"], content["lines"]):
            for move in moves:
                move["change_minor"] = (move["after_minor"] or 0) - (move["before_minor"] or 0)
        print(json.dumps(content, indent=2, ensure_ascii=False))
        return
    print(comparison_text(found), end="")


def _statements(project: Project, side: str) -> list[Statement]:
    written = SIDE.fullmatch(side)
    if written is None:
        raise MoneyError(f"{side!r} is neither a period such as 2026-10 nor a version of it such as 2026-10:v1")
    period, version = written["period"], written["version"]
    period_days(period)
    found = statements_of_version(project, period, int(version)) if version else latest_statements(project, period)
    if found:
        return found
    known = _versions(project, period)
    if known:
        raise MoneyError(f"Period {period} has no version {version}; it has {', '.join(map(str, known))}")
    raise MoneyError(f"Period {period} is not settled. Run: tribute run PROJECT.yaml --period {period}")


def _versions(project: Project, period: str) -> list[int]:
    with open_tables(project.lake_root, "statements") as connection:
        rows = connection.execute(
            "select distinct statement_version from statements where period = $1 order by 1", [period]
        ).fetchall()
    return [version for (version,) in rows]
