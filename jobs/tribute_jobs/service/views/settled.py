"""Statements: which months have some, those that stand now, and one by its id."""

from typing import Literal, NamedTuple

from tribute.config import Project
from tribute.ids import excerpt, nfc
from tribute.royalty.document import Statement, read_statement
from tribute.royalty.exact.calendar import period_days
from tribute_jobs.service.missing import Missing
from tribute_jobs.service.views.figures import Amount, View, amount
from tribute_jobs.service.views.scope import rows, scoped

_NEWEST = """
select json, run_id, reason from statements join months using (period)
where statement_version = version and ($period is null or period = $period)
order by period, currency, amount_minor desc, publisher_id
"""
_MONTHS = "from months semi join statements using (period) order by period"


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


class SettledMonth(NamedTuple):
    """A month that has statements, and what the newest ones are: draft or final."""

    period: str
    version: int
    state: Literal["draft", "final"]


class Settled(NamedTuple):
    """The newest statements of a month. `reason`: why they restate a closed one; empty if they do not."""

    statements: tuple[Statement, ...]
    run_id: str = ""
    reason: str = ""


class FoundStatement(NamedTuple):
    """A statement, the run that settled it, and whether a later version of its month replaces it."""

    statement: Statement
    run_id: str
    replaced: bool


def settled_months(project: Project, publisher_id: str | None) -> list[SettledMonth]:
    """Months with statements, the oldest first; for a publisher those that have one of its own."""
    with scoped(project, publisher_id, "statements") as connection:
        return [SettledMonth(**each) for each in rows(connection, _MONTHS)]


def newest_statements(project: Project, period: str, publisher_id: str | None) -> Settled:
    """The newest version of a month: all of it, or a publisher's part.

    Raises:
        ConfigError: `period` is no month.
    """
    period_days(period)
    with scoped(project, publisher_id, "statements") as connection:
        found = rows(connection, _NEWEST, period=period)
    if not found:
        return Settled(())
    statements = tuple(read_statement(each["json"]) for each in found)
    return Settled(statements, found[0]["run_id"], found[0]["reason"] or "")


def statements_of_months(project: Project, publisher_id: str) -> tuple[Statement, ...]:
    """A publisher's newest statements of every month, the oldest month first."""
    with scoped(project, publisher_id, "statements") as connection:
        return tuple(read_statement(each["json"]) for each in rows(connection, _NEWEST, period=None))


def statement_list(project: Project, period: str, publisher_id: str | None) -> StatementList:
    """The rows of `newest_statements`."""
    found = newest_statements(project, period, publisher_id)
    return StatementList(period=period, statements=tuple(map(statement_row, found.statements)))


def find_statement(project: Project, statement_id: str, publisher_id: str | None) -> FoundStatement:
    """A statement of any version.

    Raises:
        Missing: there is none, or it is another publisher's.
    """
    with scoped(project, publisher_id, "statements") as connection:
        found = rows(
            connection,
            "select json, run_id, statement_version < version as replaced from statements join months "
            "using (period) where statement_id = $id",
            id=nfc(statement_id),
        )
    if not found:
        raise Missing(f"There is no statement {excerpt(statement_id)}. List a month's: /v1/statements?period=")
    return FoundStatement(read_statement(found[0]["json"]), found[0]["run_id"], found[0]["replaced"])


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
