"""What moved between two versions of statements, and why: from the statements, and from what the lake knows."""

from collections.abc import Sequence
from dataclasses import replace

from tribute.catalog import value_change
from tribute.config import Project
from tribute.royalty.document import Statement
from tribute.royalty.exact import month_after
from tribute.royalty.statement import Comparison, compare
from tribute_jobs.period.statements import latest_statements, statements_of_version
from tribute_storage import open_tables


def changes(project: Project, before: Sequence[Statement], after: Sequence[Statement]) -> Comparison:
    """Every publisher's change between two versions, split by cause.

    Args:
        before, after: all statements of a version; neither is empty.

    Raises:
        MoneyError: see `compare`.
    """
    with open_tables(project.lake_root) as connection:
        found = value_change(connection, project.valuation, before[0], after[0])
    told = compare(before, after, found)
    return replace(told, before=version_label(before[0]), after=version_label(after[0]))


def change_before(project: Project, statement: Statement) -> Comparison | None:
    """What moved since the newest earlier version with other amounts, else since the month before, or None."""
    month, number = statement.period, statement.statement_version
    now = statements_of_version(project, month, number)
    earlier = (statements_of_version(project, month, version) for version in range(number - 1, 0, -1))
    amounts = _amounts(now)
    before = next((each for each in earlier if each and _amounts(each) != amounts), [])
    before = before or latest_statements(project, month_after(month, -1))
    return changes(project, before, now) if before else None


def _amounts(statements: Sequence[Statement]) -> dict[tuple[str, str], int]:
    return {each.key: each.amount_minor for each in statements}


def version_label(statement: Statement) -> str:
    """A version for people, such as 2026-10 version 2 (final)."""
    return f"{statement.period} version {statement.statement_version} ({statement.status})"
