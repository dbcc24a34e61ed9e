"""What to look at before a period is closed: concentration, sudden jumps, flooding by one customer."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import fields
from fractions import Fraction

from tribute.config import Project
from tribute.errors import MoneyError
from tribute.royalty import AlarmLimits, Finding, alarms
from tribute.valuation import customer_uses
from tribute_jobs.money.issued import Statement
from tribute_storage import connect

_RUNS = """
select distinct q.run_id from queries q where q.simulate_run = $1 and q.period = $2 and (q.origin = 'service'
    or q.run_id = (select b.run_id from queries b join runs r on r.run_id = b.run_id and r.table_name = 'queries'
        where b.simulate_run = $1 and b.period = $2 and b.origin = 'batch'
        order by r.committed_at desc, b.run_id limit 1))
"""
"""What the service recorded, and the latest batch."""


def period_alarms(
    project: Project, statements: Iterable[Statement], before: Iterable[Statement] | None = None
) -> list[Finding]:
    """Findings on the statements of a period.

    Args:
        before: statements of the period before; None or none: no jump can be found.

    Raises:
        MoneyError: a limit of money.alarms is unknown or no exact part.
    """
    limits, now = alarm_limits(project.money.alarms), list(statements)
    if not now:
        return []
    earlier = publisher_shares(before or ())
    return alarms(publisher_shares(now), earlier or None, period_uses(project, now[0]), limits)


def alarm_limits(written: Mapping[str, str]) -> AlarmLimits:
    """Limits as `project.yaml` has them, text such as 0.25 or 1/3; the others are the defaults.

    Raises:
        MoneyError: a name is unknown, or a limit is no part.
    """
    known = [each.name for each in fields(AlarmLimits)]
    found: dict[str, Fraction] = {}
    for name, text in written.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"Did you mean {near[0]}?" if near else f"Known here: {', '.join(known)}"
            raise MoneyError(f"money.alarms.{name} is unknown. {hint}")
        try:
            found[name] = Fraction(text.strip())
        except (ValueError, ZeroDivisionError):
            raise MoneyError(f"money.alarms.{name} is {text!r}. Write a part such as '0.25' or '1/3'") from None
    return AlarmLimits(**found)


def publisher_shares(statements: Iterable[Statement]) -> dict[str, Fraction]:
    """Share of every publisher: the same in all currencies."""
    return {each["publisher_id"]: Fraction(each["share"]) for each in statements}


def period_uses(project: Project, statement: Statement) -> dict[str, int]:
    """Uses of every known customer in the period of a statement, whole ones."""
    period, simulate_run = statement["period"], statement["simulate_run"]
    with connect(project.lake_root) as connection:
        runs = [run_id for (run_id,) in connection.execute(_RUNS, [simulate_run, period]).fetchall()]
        uses = customer_uses(connection, simulate_run, period, runs)
    return {customer: round(number) for customer, number in uses.items()}
