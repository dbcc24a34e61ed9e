"""The books that a settlement opens with: agreements, accounts and adjustments of every publisher.

A closed month may have several final versions. The first closed it and was posted and paid. Later ones restated it
and moved no money. So a month opens with the account of the *first* final version of the month before. What later
versions earned in addition comes in as adjustments; one month carries each, once. Opening with the account of the
newest version would pay a restatement twice and forget what was really paid.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import product

from tribute.royalty.account import Agreement, agreement_of, closing_statements, owed
from tribute.royalty.document import Statement
from tribute.royalty.statement import Books
from tribute.royalty.terms import read_agreements
from tribute_jobs.period.statements import Period

Key = tuple[str, str]


def read_books(period: Period, publishers: Iterable[str], currencies: Iterable[str]) -> Books:
    """Agreements of `rights.agreements`, accounts as the closed months before left them, and what restated months
    still owe.

    Every publisher and currency that may have a statement has an agreement: the given publishers in the given
    currencies, and everybody who had a statement before, has one in this month if it is closed, or has an
    agreement in force.

    Raises:
        RightsError: the agreements file cannot be used.
        MoneyError: two agreements of a publisher are in force.
    """
    path, month, final = period.project.rights.agreements, period.month, period.final_statements()
    before = [each for each in final if each[0].period < month]
    closed, carries = closing_statements(before), owed(before, month)
    own: dict[Key, list[Statement]] = defaultdict(list)
    for each in closed:
        own[each.key].append(each)
    issued = {each.key for each, _ in final if each.period == month}
    known = {*publishers, *(publisher for publisher, _ in (*own, *carries, *issued))}
    agreed = read_agreements(path, known) if path else ()
    in_force = {(each.publisher_id, each.currency) for each in agreed if each.holds(month)}
    keys = sorted({*product(publishers, currencies), *own, *carries, *issued, *in_force})
    return Books(
        {key: _granting(agreed, key, month, own.get(key, ())) for key in keys},
        {key: of_key[-1].balance.account for key, of_key in own.items()},
        carries,
    )


def _granting(agreed: Sequence[Agreement], key: Key, month: str, closed: Sequence[Statement]) -> Agreement:
    """The agreement in force, with every outstanding advance granted in this month.

    Outstanding are the advances since the last closed month, and earlier ones that no month granted because they
    were agreed after their month had closed.
    """
    advances = [each for terms in agreed if (terms.publisher_id, terms.currency) == key for each in terms.advances]
    since = closed[-1].period if closed else ""
    granted = sum(each.balance.advance_granted_minor for each in closed)
    earlier = sum(minor for granted_in, minor in advances if granted_in <= since)
    due = sum(minor for granted_in, minor in advances if since < granted_in <= month) + max(0, earlier - granted)
    return replace(agreement_of(agreed, *key, month), advances=((month, due),) if due else ())
