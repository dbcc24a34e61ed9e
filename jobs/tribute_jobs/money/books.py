"""What settling needs to know of publishers beside their values: terms, accounts, adjustments to come."""

from collections import defaultdict
from collections.abc import Iterable
from itertools import pairwise

from tribute.config import Project
from tribute.royalty import (
    Account,
    Adjustment,
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
    agreed = read_agreements(path) if path else ()
    final = final_statements(project)
    before = [statement for statement, _ in final if statement["period"] < period]
    keys = [(publisher, currency) for publisher in sorted(publishers) for currency in sorted(currencies)]
    return Books(
        {key: agreement_of(agreed, *key, period) for key in keys},
        _accounts(before),
        _owed([(statement, reason) for statement, reason in final if statement["period"] < period]),
    )


def _accounts(before: Iterable[Statement]) -> dict[Key, Account]:
    """The closing account of each publisher's last closed period: of its first final version, which was paid."""
    found: dict[Key, Statement] = {}
    for statement in before:
        key = (statement["publisher_id"], statement["currency"])
        if key not in found or statement["period"] > found[key]["period"]:
            found[key] = statement
    return {key: account_from_json(statement["balance"]["account"]) for key, statement in found.items()}


def _owed(final: Iterable[tuple[Statement, str | None]]) -> dict[Key, list[Adjustment]]:
    """Differences between the final versions of a period that no later statement has carried yet."""
    versions: Versions = defaultdict(lambda: defaultdict(list))
    reasons: dict[tuple[str, int], str] = {}
    for statement, reason in final:
        period, version = statement["period"], statement["statement_version"]
        versions[period][version].append(statement)
        reasons[period, version] = reason or ""
    paid = [each for of_period in versions.values() for each in of_period[min(of_period)]]
    carried = {moved["adjusts_statement_id"] for each in paid for moved in each["balance"]["adjustments"]}
    owed: dict[Key, list[Adjustment]] = defaultdict(list)
    for period, of_period in versions.items():
        for old, new in pairwise(sorted(of_period)):
            moved = adjustments(of_period[old], of_period[new], reasons[period, new])
            for key, adjustment in moved.items():
                if adjustment.adjusts_statement_id not in carried:
                    owed[key].append(adjustment)
    return owed
