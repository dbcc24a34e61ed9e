"""What settling needs to know of publishers beside their values: terms, accounts, adjustments to come.

A closed period may have several final versions: the one that closed it, which was posted and paid, and those
that restated it, which moved no money. So a month opens with the account of the *first* final version of the month
before, and what the later versions earned beside it comes in as adjustments, each carried by one month, once. To
open with the account of the newest version would pay a restatement twice, and forget what was really paid.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

from tribute.config import Project
from tribute.royalty.account import Agreement, account_from_json, agreement_of, closing_statements, owed
from tribute.royalty.statement import Books
from tribute.royalty.terms import read_agreements
from tribute_jobs.period.statements import final_statements

Key = tuple[str, str]
Statement = Mapping[str, Any]


def read_books(project: Project, period: str, publishers: Iterable[str], currencies: Iterable[str]) -> Books:
    """Agreements of `rights.agreements`, accounts as the closed periods before left them, and what restated
    periods still owe.

    There is an agreement for every publisher and currency that may have a statement: of the publishers in the
    currencies given, and of whoever had one before, had one of this month if it is closed, or has an agreement in
    force.

    Raises:
        RightsError: the agreements file cannot be used.
        MoneyError: two agreements of a publisher are in force.
    """
    path, final = project.rights.agreements, final_statements(project)
    before = [each for each in final if each[0]["period"] < period]
    closed, carries = closing_statements(before), owed(before, period)
    own: dict[Key, list[Statement]] = defaultdict(list)
    for each in closed:
        own[_key(each)].append(each)
    issued = {_key(each) for each, _ in final if each["period"] == period}
    known = {*publishers, *(publisher for publisher, _ in (*own, *carries, *issued))}
    agreed = read_agreements(path, known) if path else ()
    in_force = {(each.publisher_id, each.currency) for each in agreed if each.holds(period)}
    keys = sorted({*product(publishers, currencies), *own, *carries, *issued, *in_force})
    return Books(
        {key: _granting(agreed, key, period, own.get(key, ())) for key in keys},
        {key: account_from_json(of_key[-1]["balance"]["account"]) for key, of_key in own.items()},
        carries,
    )


def _granting(agreed: Sequence[Agreement], key: Key, period: str, closed: Sequence[Statement]) -> Agreement:
    """The agreement in force, with all that is still to be advanced granted in this month.

    That is every advance since the last month that closed, and of those before what no month granted: one that was
    agreed after its month had closed.
    """
    advances = [each for terms in agreed if (terms.publisher_id, terms.currency) == key for each in terms.advances]
    since = closed[-1]["period"] if closed else ""
    granted = sum(each["balance"]["advance_granted_minor"] for each in closed)
    earlier = sum(minor for month, minor in advances if month <= since)
    due = sum(minor for month, minor in advances if since < month <= period) + max(0, earlier - granted)
    return replace(agreement_of(agreed, *key, period), advances=((period, due),) if due else ())


def _key(statement: Statement) -> Key:
    return statement["publisher_id"], statement["currency"]
