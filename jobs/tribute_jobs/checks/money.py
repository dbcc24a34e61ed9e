"""Checks of what is paid: rights, agreements, terms, fees, pools, policy, alarms, and the order of months."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

from tribute.catalog import period_splits, read_book
from tribute.config import Project
from tribute.errors import BusyError, ConfigError, ProofError, TributeError
from tribute.ids import listed
from tribute.royalty.statement import LineValue, PeriodFacts, PublisherValue, build_statements
from tribute.royalty.terms import read_agreements, read_terms
from tribute.serving.writing.writer import require_all_brought
from tribute.valuation.steps import require_payee
from tribute_jobs.checks.checklist import Passed
from tribute_jobs.checks.subject import Subject
from tribute_jobs.period.accounts import read_books
from tribute_jobs.period.alarms import alarm_limits
from tribute_jobs.period.payees import absent_publishers
from tribute_jobs.period.proof import key_file, read_key, require_no_other_key
from tribute_jobs.period.sequence import require_order
from tribute_jobs.period.statements import read_period
from tribute_jobs.period.terms import customer_fees, period_policy, period_pools, registered_policy

NO_VALUE = Decimal(0)
CLOSING = ("close", "restate")
"""Last stages of runs that sign."""


def check_rights(subject: Subject) -> Passed | None:
    """Who holds which part of which source; of all sources on all days of the month, if it is paid."""
    project, sources = subject.project, subject.sources
    if project.rights.sources is None and sources is None:
        return None
    book = read_book(project, {each.source_id: each.publisher for each in sources or ()})
    held, paid = {right.source_id for right in book.rights}, {right.publisher_id for right in book.rights}
    if subject.paid_month is not None:
        known = held if sources is None else [each.source_id for each in sources]
        paid = {publisher for _, publisher in period_splits(book, subject.paid_month, known)}
    require_payee(project.valuation.publisher, sorted(paid))
    return Passed(f"{len(book.publishers):,} publishers of {len(held):,} sources")


def check_agreements(subject: Subject) -> Passed | None:
    """The agreements with publishers, if a file has them."""
    path, month = subject.project.rights.agreements, subject.paid_month
    if path is None:
        return None
    agreed, paid = read_agreements(path), sorted({pool.currency for pool in subject.project.divided()})
    applied = {each.publisher_id for each in agreed if each.currency in paid and (not month or each.holds(month))}
    idle = sorted({each.publisher_id for each in agreed} - applied)
    warning = (
        f"No agreement of {listed(idle)} holds{f' in {month}' if month else ''} in {', '.join(paid)}: what they "
        "earn is paid in full. Correct currency, valid_from or valid_to if that is not meant"
    )
    return Passed(f"{len(agreed):,} agreements", (warning,) if idle else ())


def check_terms(subject: Subject) -> Passed | None:
    """What the holders of sources declare, if a file has it."""
    path = subject.project.rights.terms
    return None if path is None else Passed(f"terms of {len(read_terms(path)):,} sources")


def check_fees(subject: Subject) -> Passed | None:
    """What customers paid, if a file has it."""
    if subject.project.money.fees is None:
        return None
    fees = customer_fees(subject.project)
    return Passed(f"fees of {len(fees):,} customers", tuple(_without_fee(subject, fees)))


def _without_fee(subject: Subject, fees: Mapping[str, Fraction]) -> Iterator[str]:
    """Warning of the month's customers that decide nothing, where fees are divided."""
    project, month = subject.project, subject.paid_month
    if month is None or subject.sources is None:
        return
    try:
        customers = subject.inputs.queries(month).customers
        divided = "user_centric" in period_policy(project).weights
    except TributeError:  # said by the check of the queries, or of the policy
        return
    idle = [each or "nobody" for each in customers if not (each and fees.get(each))] if divided else []
    if idle:
        yield (
            f"{len(idle):,} of {len(customers):,} uses in {month} are by customers without a fee, which decide "
            f"nothing: {listed(sorted(set(idle)))}. Add them to {project.money.fees} if they paid"
        )


def check_pools(subject: Subject) -> Passed:
    """The money to divide."""
    return Passed(" + ".join(pool.amount.text() for pool in period_pools(subject.project)))


def check_policy(subject: Subject) -> Passed:
    """How values become shares, and that the month is not registered under another policy."""
    policy = period_policy(subject.project)
    if subject.paid_month is not None:
        registered_policy(subject.project, subject.lake, subject.paid_month)
    if "user_centric" in policy.weights and subject.project.money.fees is None:
        raise ConfigError(
            f"policy.basis {policy.basis} divides customers' fees, and money.fees names no file. Name one with "
            "the columns customer_id and fee, or choose another basis"
        )
    return Passed(f"{policy.name} {policy.version}".rstrip())


def check_alarms(subject: Subject) -> Passed | None:
    """The limits of alarms, if the project sets some."""
    alarms = subject.project.money.alarms
    alarm_limits(alarms)
    return Passed(f"{len(alarms)} limits") if alarms else None


def check_order(subject: Subject) -> Passed | None:
    """That the month may be settled or closed now."""
    if subject.month is None or subject.last not in ("settle", "close"):
        return None
    require_order(subject.project, subject.month, subject.last)
    return Passed(f"{subject.month} may be closed" if subject.last == "close" else f"{subject.month} is next")


def check_uses(subject: Subject) -> Passed | None:
    """That all uses of the month that the service recorded are in the lake, before the month becomes final."""
    if subject.paid_month is None:
        return None
    if subject.last == "close" and read_period(subject.project, subject.paid_month).closed:
        return None  # what came later is not part of it
    try:
        require_all_brought(subject.project, subject.paid_month)
    except BusyError as problem:
        if subject.last in CLOSING:
            raise
        return Passed("not all are in the lake", (str(problem),))
    return None


def check_division(subject: Subject) -> Passed | None:
    """Rehearses the month's settlement with values of 0: pools, policy, agreements and accounts fit together."""
    if subject.paid_month is None or subject.sources is None:
        return None
    project, month = subject.project, read_period(subject.project, subject.paid_month)
    if month.closed:
        return Passed(f"{month.month} is closed")
    publishers, pools = _worth_nothing(subject, subject.paid_month), period_pools(project)
    books = read_books(month, {each.publisher_id for each in publishers}, {pool.currency for pool in pools})
    facts = PeriodFacts(
        project=project.name,
        period=month.month,
        pools=pools,
        shrinkage=NO_VALUE,
        value_run="value",
        simulate_run="simulate",
        train_run="train",
        repetition=project.training.repetition,
        policy=replace(period_policy(project), floor=None),  # values decide who is owed a floor
        fees=customer_fees(project),
    )
    publishers += absent_publishers(month, publishers, books.agreements)
    statements = build_statements(facts, publishers, books)
    return Passed(
        f"{len(statements):,} statements for {month.month}", tuple(_floor_warning(project, len(publishers)))
    )


def _floor_warning(project: Project, publishers: int) -> Iterator[str]:
    floor = period_policy(project).floor
    if floor is not None and floor * publishers > 1:
        yield (
            f"policy.floor {floor} can be paid to {int(1 / floor)} publishers, and there are {publishers}: a "
            "month in which more of them have a share is refused when it is settled. Lower it, or remove it"
        )


def check_key(subject: Subject) -> Passed | None:
    """The key that signs closed months, if there is one."""
    path = key_file(subject.project)
    if path.exists():
        read_key(path)
        return Passed(f"{path.name} signs closed months")
    try:
        require_no_other_key(subject.project)
    except ProofError as problem:
        if subject.last in CLOSING:
            raise
        return Passed("no month can be closed", (str(problem),))
    return Passed(f"{path.name} will be made at the first closing") if subject.project.money.signing_key else None


def _worth_nothing(subject: Subject, month: str) -> list[PublisherValue]:
    """Every publisher with its sources, as if nothing had been asked."""
    sources = {each.source_id: each for each in subject.sources or ()}
    book = read_book(subject.project, {name: each.publisher for name, each in sources.items()})
    lines: dict[str, list[LineValue]] = {each.publisher_id: [] for each in book.publishers}
    splits: dict[tuple[str, str], Fraction] = period_splits(book, month, sources)
    for (source_id, publisher_id), split in splits.items():
        tokens = round(sources[source_id].tokens * split)
        values = (NO_VALUE, NO_VALUE, NO_VALUE, NO_VALUE)
        lines[publisher_id].append(LineValue(source_id, "", "", 0, *values, tokens, split))
    names = {each.publisher_id: each.name for each in book.publishers}
    return [
        PublisherValue(name, names[name], NO_VALUE, NO_VALUE, NO_VALUE, NO_VALUE, tuple(own))
        for name, own in lines.items()
    ]
