"""Statements: which months have some, those that stand now, and one by its id."""

from collections.abc import Sequence
from itertools import groupby
from typing import Literal, NamedTuple

import duckdb

from tribute.config import Project
from tribute.ids import excerpt, nfc
from tribute.royalty.document import Statement, read_statement
from tribute.royalty.exact.calendar import period_days
from tribute_jobs.period.statements import issued_twice
from tribute_jobs.service.missing import Missing
from tribute_jobs.service.views.figures import Amount, View, amount
from tribute_jobs.service.views.scope import Row, rows, scoped

State = Literal["none", "draft", "half_closed", "final"]
"""Of a month. `half_closed`: its statements are final, and closing it was interrupted before it was signed."""
_NEWEST = """
select json, run_id, reason, period, state from statements join months using (period)
where statement_version = version and run_id = run and ($period is null or period = $period)
order by period, currency, amount_minor desc, publisher_id
"""
_TWICE = """
from doubles d semi join (
    from statements s left join months m using (period) where ($period is null or period = $period)
        and (statement_id = $id or ($id is null and statement_version = m.version))
) s on s.period = d.period and s.statement_version = d.version order by d.period, d.version limit 1
"""


class StatementRow(View):
    """A statement in a list."""

    statement_id: str
    version: int
    status: Literal["draft", "final"]
    period: str
    publisher_id: str
    publisher_name: str
    allocated: Amount
    paid: Amount
    closing_balance: Amount
    share_percent: str
    sha256: str


class StatementList(View):
    """The statements of a month's newest version, the largest amount of a currency first."""

    period: str
    statements: tuple[StatementRow, ...]


class Settled(NamedTuple):
    """The newest statements of a month. `reason`: why they restate a closed one; empty if they do not."""

    statements: tuple[Statement, ...] = ()
    run_id: str = ""
    reason: str = ""
    state: State = "none"

    @property
    def version(self) -> int | None:
        """Their version."""
        return self.statements[0].statement_version if self.statements else None


def newest_statements(project: Project, period: str, publisher_id: str | None) -> Settled:
    """The newest version of a month: all of it, or a publisher's part.

    Raises:
        ConfigError: `period` is no month.
        MoneyError: two runs issued the version as final.
    """
    period_days(period)
    with scoped(project, publisher_id, "statements") as connection:
        require_issued_once(connection, period)
        found = rows(connection, _NEWEST, period=period)
    return _settled(found) if found else Settled()


def settled_months(project: Project, publisher_id: str) -> tuple[Settled, ...]:
    """A publisher's newest statements of every month, the oldest month first.

    Raises:
        MoneyError: two runs issued a version of them as final.
    """
    with scoped(project, publisher_id, "statements") as connection:
        require_issued_once(connection)
        found = rows(connection, _NEWEST, period=None)
    return tuple(_settled(list(own)) for _, own in groupby(found, key=lambda each: each["period"]))


def _settled(found: Sequence[Row]) -> Settled:
    first, statements = found[0], tuple(read_statement(each["json"]) for each in found)
    return Settled(statements, first["run_id"], first["reason"] or "", first["state"])


def statement_list(project: Project, period: str, publisher_id: str | None) -> StatementList:
    """The rows of `newest_statements`."""
    found = newest_statements(project, period, publisher_id)
    return StatementList(period=period, statements=tuple(map(statement_row, found.statements)))


def find_statement(project: Project, statement_id: str, publisher_id: str | None) -> Statement:
    """A statement of any version.

    Raises:
        Missing: there is none, or it is another publisher's.
        MoneyError: two runs issued its version as final.
    """
    own = nfc(statement_id)
    with scoped(project, publisher_id, "statements") as connection:
        require_issued_once(connection, statement_id=own)
        found = rows(
            connection, "select json from statements where statement_id = $id order by run_id desc", id=own
        )
    if not found:
        raise Missing(f"There is no statement {excerpt(statement_id)}. List a month's: /v1/statements?period=")
    return read_statement(found[0]["json"])


def require_issued_once(
    connection: duckdb.DuckDBPyConnection, period: str | None = None, statement_id: str | None = None
) -> None:
    """Check that one run issued what is shown: the newest version of every month, or of one; or a statement.

    Args:
        connection: of `scoped`, with `statements`. Months without a row in it are not looked at.

    Raises:
        MoneyError: two runs issued it as final.
    """
    for double in rows(connection, _TWICE, period=period, id=statement_id):
        raise issued_twice(*double.values())


def statement_row(statement: Statement) -> StatementRow:
    """A statement as a row."""
    balance, currency = statement.balance, statement.currency
    return StatementRow(
        statement_id=statement.statement_id,
        version=statement.statement_version,
        status=statement.status,
        period=statement.period,
        publisher_id=statement.publisher_id,
        publisher_name=statement.publisher_name,
        allocated=amount(statement.amount_minor, currency),
        paid=amount(balance.amount_paid_minor, currency),
        closing_balance=amount(balance.closing_balance_minor, currency),
        share_percent=statement.share_percent,
        sha256=statement.sha256,
    )
