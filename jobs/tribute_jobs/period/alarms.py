"""Findings to review before closing a period: concentration, jumps, flooding, malformed licences."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import fields
from fractions import Fraction

from tribute.catalog import customer_uses, valued_runs
from tribute.config import Project
from tribute.errors import MoneyError
from tribute.royalty.document import Statement
from tribute.royalty.exact import Finding
from tribute.royalty.exact.text import exact_fraction
from tribute.royalty.statement import AlarmLimits, alarms
from tribute.royalty.terms import read_terms, terms_findings
from tribute_storage import open_tables


def period_alarms(
    project: Project, statements: Iterable[Statement], before: Iterable[Statement] | None = None
) -> list[Finding]:
    """Findings on the statements of a period, and on the terms that the holders of its sources declare.

    Args:
        before: statements of the period before; None or none: no jump can be found.

    Raises:
        MoneyError: a limit of money.alarms is unknown or no exact part.
        RightsError: the file of rights.terms cannot be used.
        ValuationError: the statements' valuation does not record which queries it summed.
    """
    limits, now = alarm_limits(project.money.alarms), list(statements)
    if not now:
        return []
    earlier, uses = publisher_shares(before or ()), period_uses(project, now[0])
    terms = read_terms(project.rights.terms).values() if project.rights.terms else ()
    return [*alarms(publisher_shares(now), earlier or None, uses, limits), *terms_findings(terms)]


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
            found[name] = exact_fraction(text)
        except ValueError as problem:
            raise MoneyError(f"money.alarms.{name}: {problem}") from None
    return AlarmLimits(**found)


def publisher_shares(statements: Iterable[Statement]) -> dict[str, Fraction]:
    """Share of every publisher: the same in all currencies."""
    return {each.publisher_id: Fraction(each.share) for each in statements}


def period_uses(project: Project, statement: Statement) -> dict[str, int]:
    """Uses of every known customer in what a statement's valuation summed, whole ones, before any cap."""
    with open_tables(project.lake_root, "valuations", "queries", "influence", "usage_events") as connection:
        runs = valued_runs(connection, statement.value_run)
        uses = customer_uses(connection, statement.simulate_run, statement.period, runs)
    return {customer: round(number) for customer, number in uses.items()}
