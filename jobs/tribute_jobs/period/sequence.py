"""Order of settling and closing: accounts run from month to month without a gap."""

from typing import NamedTuple

from tribute.config import Project
from tribute.errors import MoneyError
from tribute.royalty.exact import month_after
from tribute_jobs.period.proof import unsigned_versions
from tribute_storage import open_tables

NAMED = 12
"""Most months that a message lists one by one."""


class _Month(NamedTuple):
    """A settled month: whether it is closed, and whether it has queries."""

    closed: bool
    asked: bool


_Months = dict[str, _Month]


def require_order(project: Project, period: str, step: str) -> None:
    """Check that a month may be settled, or closed, now. A closed month always passes.

    Settling needs every month since the last closed one to be settled; without one, every month since the first
    settled one that has queries. Closing needs them closed, and the month itself settled. The first month ever may
    be any: drafts without queries before it, such as one of a mistyped month, bind nobody until they are closed.

    Args:
        step: settle or close.

    Raises:
        MoneyError: names the months to settle first, the month to close first, or a later month that is closed.
    """
    settled = _settled(project)
    if period in settled and settled[period].closed:
        return
    _require_no_gap(settled, period)
    if step == "close":
        _require_closed(project, settled, period)
    later = min((month for month, each in settled.items() if each.closed and month > period), default=None)
    if later:
        raise MoneyError(
            f"Period {later} is closed and did not open with the balances of {period}, which can no longer be "
            f"{step}d. Divide its money in the pool of a later month"
        )


def _settled(project: Project) -> _Months:
    """Every settled month, in order."""
    with open_tables(project.lake_root, "statements", "queries") as connection:
        rows = connection.execute(
            "select period, bool_or(coalesce(status = 'final', false)), "
            "coalesce(period in (select period from queries), false) from statements "
            "group by period order by period"
        ).fetchall()
    return {period: _Month(closed, asked) for period, closed, asked in rows}


def _open_before(settled: _Months, period: str) -> list[str]:
    """The months before a period that follow the last closed one; without one, from the first with queries on."""
    before = [month for month in settled if month < period]
    closed = [month for month in before if settled[month].closed]
    asked = [month for month in before if settled[month].asked]
    month, found = month_after(closed[-1]) if closed else min(asked, default=period), list[str]()
    while month < period:
        found.append(month)
        month = month_after(month)
    return found


def _require_no_gap(settled: _Months, period: str) -> None:
    months = _open_before(settled, period)
    missing = [month for month in months if month not in settled]
    if not missing:
        return
    named = ", ".join(missing) if len(missing) <= NAMED else f"{missing[0]} to {missing[-1]}"
    trial = f". If {months[0]} was only a trial, give the real months a `workdir` of their own"
    closed = any(each.closed for each in settled.values())
    raise MoneyError(
        f"Period {period} opens with the balances of the months before it, and {len(missing)} of them "
        f"{'was' if len(missing) == 1 else 'were'} never settled: {named}. Settle first, even if nothing "
        f"happened: tribute run PROJECT.yaml --period {missing[0]}{'' if closed else trial}"
    )


def _require_closed(project: Project, settled: _Months, period: str) -> None:
    if period not in settled:
        raise MoneyError(
            f"Period {period} is not settled, so nobody has seen what would become final. Settle and review it: "
            f"tribute run PROJECT.yaml --period {period}"
        )
    todo = [(month, "settled and not closed") for month in _open_before(settled, period)]
    todo += [(month, "half closed") for month, _ in unsigned_versions(project) if month < period]
    for month, state in todo[:1]:
        raise MoneyError(
            f"Period {month} is {state}, and {period} opens with its balances. Close it: "
            f"tribute close PROJECT.yaml --period {month}"
        )
