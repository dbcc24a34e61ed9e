"""What settling needs to know of publishers beside their values: terms, accounts, adjustments to come."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise, product

from tribute.config import Project
from tribute.royalty import (
    Adjustment,
    Agreement,
    Books,
    account_from_json,
    adjustments,
    agreement_of,
    read_agreements,
)
from tribute_jobs.money.issued import Statement, final_statements

Key = tuple[str, str]
Versions = dict[str, dict[int, list[Statement]]]


def read_books(project: Project, period: str, publishers: Iterable[str], currencies: Iterable[str]) -> Books:
    """Agreements of `rights.agreements`, accounts as the closed periods before left them, and what restated
    periods still owe.

    Raises:
        RightsError: the agreements file cannot be used.
        MoneyError: two agreements of a publisher are in force.
    """
    path = project.rights.agreements
    final = [each for each in final_statements(project) if each[0]["period"] < period]
    last, owed = _last([statement for statement, _ in final]), _owed(final)
    known = {*publishers, *(publisher for publisher, _ in last)}
    agreed = read_agreements(path, known) if path else ()
    keys = sorted({*product(publishers, currencies), *last, *owed})
    return Books(
        {key: _granting(agreement_of(agreed, *key, period), last.get(key), period) for key in keys},
        {key: account_from_json(statement["balance"]["account"]) for key, statement in last.items()},
        owed,
    )


def _granting(agreement: Agreement, last: Statement | None, period: str) -> Agreement:
    """The agreement with every advance since the last closed month granted in this one: none is left out."""
    since = last["period"] if last else ""
    due = sum(minor for month, minor in agreement.advances if since < month <= period)
    return replace(agreement, advances=((period, due),) if due else ())


def _last(before: Iterable[Statement]) -> dict[Key, Statement]:
    """Each publisher's last closed period in each currency: its first final version, which was paid."""
    found: dict[Key, Statement] = {}
    for statement in before:
        key = (statement["publisher_id"], statement["currency"])
        if key not in found or statement["period"] > found[key]["period"]:
            found[key] = statement
    return found


def _owed(final: Iterable[tuple[Statement, str | None]]) -> dict[Key, list[Adjustment]]:
    """Differences between the final versions of a period that no later statement has carried yet."""
    versions: Versions = defaultdict(lambda: defaultdict(list))
    reasons: dict[tuple[str, int], str] = {}
    for statement, reason in final:
        period, version = statement["period"], statement["statement_version"]
        versions[period][version].append(statement)
        reasons[period, version] = reason or ""
    paid = [each for of_period in versions.values() for each in of_period[min(of_period)]]
    carried = Counter(moved["adjusts_statement_id"] for each in paid for moved in each["balance"]["adjustments"])
    owed: dict[Key, list[Adjustment]] = defaultdict(list)
    for period, of_period in versions.items():
        for old, new in pairwise(sorted(of_period)):
            moved = adjustments(of_period[old], of_period[new], reasons[period, new])
            for key, adjustment in moved.items():
                carried[adjustment.adjusts_statement_id] -= 1
                if carried[adjustment.adjusts_statement_id] < 0:
                    owed[key].append(adjustment)
    return dict(owed)
