"""All months of a project in a list: valued, drafts, and closed ones."""

from tribute.config import Project
from tribute_jobs.service.views.figures import Amount, View, amount, sums
from tribute_jobs.service.views.scope import rows, scoped
from tribute_jobs.service.views.settled import State, require_issued_once
from tribute_jobs.service.views.valuations import CURRENT

_SETTLED = """
select period, version, state, publisher_id, amount_minor, currency,
    coalesce(paid_minor, amount_minor) as paid_minor
from statements join months using (period) where statement_version = version and run_id = run order by all
"""
_VALUED = f"""
select period, max(queries) as queries, count(distinct publisher_id) as publishers
from valuations semi join ({CURRENT}) using (period, run_id)
where level = 'publisher' group by period order by period
"""


class MonthRow(View):
    """A month in the list of all; amounts are sums over the publishers that the caller may see."""

    period: str
    state: State
    version: int | None
    publishers: int
    queries: int | None
    allocated: tuple[Amount, ...]
    paid: tuple[Amount, ...]


def month_rows(project: Project, publisher_id: str | None) -> list[MonthRow]:
    """Every month with a valuation or statements, the newest first.

    Raises:
        MoneyError: two runs issued the newest version of a month as final.
    """
    with scoped(project, publisher_id, "statements", "valuations") as connection:
        require_issued_once(connection)
        settled, valued = rows(connection, _SETTLED), rows(connection, _VALUED)
    queries = {each["period"]: each["queries"] for each in valued}
    publishers = {each["period"]: each["publishers"] for each in valued}
    found = []
    for period in sorted({*queries, *(each["period"] for each in settled)}, reverse=True):
        own = [each for each in settled if each["period"] == period]
        found.append(
            MonthRow(
                period=period,
                state=own[0]["state"] if own else "none",
                version=own[0]["version"] if own else None,
                publishers=len({each["publisher_id"] for each in own}) or publishers[period],
                queries=queries.get(period),
                allocated=sums(amount(each["amount_minor"], each["currency"]) for each in own),
                paid=sums(amount(each["paid_minor"], each["currency"]) for each in own),
            )
        )
    return found


def newest_month(project: Project, publisher_id: str | None) -> str | None:
    """The newest month of `month_rows`, if there is one."""
    return next((each.period for each in month_rows(project, publisher_id)), None)
