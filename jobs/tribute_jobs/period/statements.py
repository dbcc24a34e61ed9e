"""Statements in the lake, by month and version, where their files are, and what moved between two versions."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from tribute.catalog import value_change
from tribute.config import Project
from tribute.errors import MoneyError
from tribute.royalty.document import Statement, read_statement
from tribute.royalty.exact import month_after
from tribute.royalty.statement import Comparison, compare
from tribute_storage import Basis, Lake, open_tables

Reasoned = tuple[Statement, str | None]
"""A final statement with the reason of its version."""

_NEWEST = "statement_version = (select max(statement_version) from statements where period = $1)"
_LARGEST_FIRST = "currency, amount_minor desc, publisher_id"


@dataclass(frozen=True)
class Version:
    """The statements of a month that one run settled, the largest amount of a currency first.

    `reason`: why it restates a closed month; None or empty if it does not.
    """

    run_id: str
    statements: tuple[Statement, ...]
    reason: str | None = None

    @property
    def month(self) -> str:
        """The month, as YYYY-MM."""
        return self.statements[0].period

    @property
    def number(self) -> int:
        """The version's number, from 1."""
        return self.statements[0].statement_version

    @property
    def final(self) -> bool:
        """Whether the version is closed."""
        return self.statements[0].status == "final"


@dataclass(frozen=True)
class Period:
    """A month of a project: its newest version, and every final version of every month.

    A command reads it once (`read_period`) and hands it on; `with_version` gives the period after a commit.
    """

    project: Project
    month: str
    newest: Version | None
    """None: the month was never settled."""
    final_versions: tuple[Version, ...]
    """By month and number."""
    basis: Basis | None = None
    """The statements that were read. New ones of this month, or final ones of any, make another period of it."""

    @property
    def closed(self) -> bool:
        """Whether the newest version is final."""
        return self.newest is not None and self.newest.final

    @property
    def statements(self) -> tuple[Statement, ...]:
        """The statements of the newest version; empty if the month was never settled."""
        return self.newest.statements if self.newest else ()

    @property
    def own_final_versions(self) -> tuple[Version, ...]:
        """The final versions of this month: the one that closed it, then its restatements."""
        return tuple(each for each in self.final_versions if each.month == self.month)

    def final_statements(self) -> list[Reasoned]:
        """Every final statement of every month with the reason of its version, by month, version and id."""
        return [
            (statement, version.reason)
            for version in self.final_versions
            for statement in sorted(version.statements, key=lambda each: each.statement_id)
        ]

    def with_version(self, version: Version) -> "Period":
        """The period after a version was committed."""
        final = (*self.final_versions, version) if version.final else self.final_versions
        ordered = tuple(sorted(final, key=lambda each: (each.month, each.number)))
        return replace(self, newest=version, final_versions=ordered)


def read_period(project: Project, month: str) -> Period:
    """A month as the lake holds it.

    Raises:
        MoneyError: a statement in the lake is of another schema, or two runs issued one version as final.
    """
    basis = Basis(
        Lake(project.lake_root).version("statements"),
        lambda: (pc.field("period") == month) | (pc.field("status") == "final"),
    )
    with open_tables(project.lake_root, "statements") as connection:
        rows = connection.execute(
            "select period, statement_version, run_id, reason, json from statements "
            f"where status = 'final' or (period = $1 and {_NEWEST}) "
            f"order by period, statement_version, run_id, {_LARGEST_FIRST}",
            [month],
        ).fetchall()
    versions = tuple(_versions(rows))
    _require_one_final(versions)
    own = [version for version in versions if version.month == month]
    final = tuple(each for each in versions if each.final)
    return Period(project, month, own[-1] if own else None, final, basis)


def read_final_statements(project: Project) -> list[Reasoned]:
    """Every final statement with the reason of its version, by month, version and id."""
    return read_period(project, "").final_statements()


def statement_folder(project: Project, month: str, version: int) -> Path:
    """Where the files of a version are."""
    return project.workdir / "statements" / f"{month}-v{version}"


def latest_statements(project: Project, month: str) -> list[Statement]:
    """A month's statements of the highest version, the largest amount first; empty if it was never settled."""
    return _read(project, month, _NEWEST)


def statements_of_version(project: Project, month: str, version: int) -> list[Statement]:
    """A month's statements of a version, the largest amount first; empty if there is no such version."""
    return _read(project, month, f"statement_version = {int(version)}")


def _versions(rows: Iterable[tuple[Any, ...]]) -> Iterable[Version]:
    for (_, _, run_id, reason), group in groupby(rows, key=lambda row: row[:4]):
        yield Version(run_id, tuple(read_statement(row[4]) for row in group), reason)


def _require_one_final(versions: Iterable[Version]) -> None:
    known: dict[tuple[str, int], str] = {}
    for each in versions:
        other = known.setdefault((each.month, each.number), each.run_id) if each.final else each.run_id
        if other != each.run_id:
            raise issued_twice(each.month, each.number, other, each.run_id)


def issued_twice(month: str, number: int, run: str, other: str) -> MoneyError:
    """Two runs issued one version as final, as earlier releases let two folders do."""
    return MoneyError(
        f"Version {number} of {month} was issued twice as final, by runs {run} and {other}, so nothing can follow "
        f"from it. See which one stands, and reverse the other one: tribute reverse PROJECT.yaml --period {month}"
    )


def _read(project: Project, month: str, condition: str) -> list[Statement]:
    with open_tables(project.lake_root, "statements") as connection:
        rows = connection.execute(
            "select period, statement_version, run_id, reason, json from statements "
            f"where period = $1 and {condition} order by run_id, {_LARGEST_FIRST}",
            [month],
        ).fetchall()
    versions = tuple(_versions(rows))
    _require_one_final(versions)
    return [statement for version in versions for statement in version.statements]


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
    return replace(told, before=_label(before[0]), after=_label(after[0]))


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


def _label(statement: Statement) -> str:
    """A version for people, such as 2026-10 version 2 (final)."""
    return f"{statement.period} version {statement.statement_version} ({statement.status})"
