"""Every publisher's statement for a period. The same inputs give the same bytes."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Literal, NamedTuple

from tribute.royalty.account.agreement import Agreement
from tribute.royalty.account.balance import balance, recounted
from tribute.royalty.division.allocation import Allocation, ShareParts, allocate_shares
from tribute.royalty.division.policy import policy_record
from tribute.royalty.document import (
    STATEMENT_SCHEMA,
    AccountState,
    Adjustment,
    PolicyRecord,
    PoolDeduction,
    Statement,
    StatementParts,
    StatementPool,
    StatementTotals,
    ValueInterval,
)
from tribute.royalty.exact.calendar import ends_accounting_period, period_days
from tribute.royalty.exact.money import Money, allocate
from tribute.royalty.exact.text import id_part, percent, plain, total
from tribute.royalty.statement.inputs import PeriodFacts, Pool, PublisherValue
from tribute.royalty.statement.lines import USE_TYPE, PoolMoney, statement_lines

CONFIDENCE: Literal["0.95"] = "0.95"
NO_SHARE = ShareParts(Fraction(0), Fraction(0), Fraction(0))
_RANGE = "amount at each end of this publisher's interval of shares, in which the values of all publishers vary"

Key = tuple[str, str]


class Books(NamedTuple):
    """Agreements, opening accounts and adjustments by publisher and currency; missing keys mean the default."""

    agreements: Mapping[Key, Agreement]
    accounts: Mapping[Key, AccountState]
    adjustments: Mapping[Key, Sequence[Adjustment]]


NO_BOOKS = Books({}, {}, {})


def build_statements(
    facts: PeriodFacts, publishers: Sequence[PublisherValue], books: Books = NO_BOOKS
) -> list[Statement]:
    """Divide the pools and write every publisher's statement in each currency, the largest amount first.

    Publishers without sources in the period take no part in the division and get a statement of no activity. In a
    currency without a pool there is a statement where there is an account or an adjustment, an advance is granted
    or a guarantee falls due: nothing is left behind. A version that restates a closed one has a statement of
    everybody who had one, and pays nothing.

    Raises:
        MoneyError, PolicyError: the pools cannot be divided by the policy.
    """
    active = [publisher for publisher in publishers if publisher.lines]
    allocation = allocate_shares(facts.policy, [publisher.claim() for publisher in active], facts.fees)
    paid = {pool.pool_id: allocate(pool.amount.minor, allocation.shares()) for pool in facts.pools}
    payable = total(max(publisher.value_nats, Decimal(0)) for publisher in publishers)
    open_keys = _open_keys(facts, books)
    currencies = sorted({*facts.currencies(), *(currency for _, currency in open_keys)})
    settled = {currency: _settled(facts, allocation, payable, currency) for currency in currencies}
    statements = [
        _statement(each, publisher, paid, books)
        for currency, each in settled.items()
        for publisher in publishers
        if currency in facts.currencies() or (publisher.publisher_id, currency) in open_keys
    ]
    return sorted(statements, key=lambda s: (s.currency, -s.amount_minor, s.publisher_id))


def _open_keys(facts: PeriodFacts, books: Books) -> set[Key]:
    """Publishers and currencies that get a statement even without a pool."""
    period, terms = facts.period, books.agreements
    due = {
        key
        for key, each in terms.items()
        if each.guarantee_minor and ends_accounting_period(period, each.accounting_period)
    }
    if facts.superseded:
        return due | facts.superseded
    granted = {
        key for key, each in terms.items() if any(month == period and minor for month, minor in each.advances)
    }
    left = {key for key, account in books.accounts.items() if account != AccountState()}
    return due | granted | left | set(books.adjustments)


class _Settled(NamedTuple):
    """A period after the division, in one currency."""

    facts: PeriodFacts
    allocation: Allocation
    payable_nats: Decimal
    currency: str
    pools: tuple[Pool, ...]
    pool_minor: int
    policy: PolicyRecord
    records: tuple[StatementPool, ...]
    """Policy and pools as every statement shows them."""

    def statement_id(self, publisher_id: str, version: int) -> str:
        return f"{self.facts.project}-{self.facts.period}-{id_part(publisher_id)}-{self.currency}-v{version}"


def _settled(facts: PeriodFacts, allocation: Allocation, payable_nats: Decimal, currency: str) -> _Settled:
    pools = tuple(pool for pool in facts.pools if pool.currency == currency)
    records = tuple(_pool(pool, allocation) for pool in pools)
    pool_minor = sum(pool.amount.minor for pool in pools)
    policy = policy_record(facts.policy)
    return _Settled(facts, allocation, payable_nats, currency, pools, pool_minor, policy, records)


def _statement(
    settled: _Settled, publisher: PublisherValue, paid: Mapping[str, Mapping[str, int]], books: Books
) -> Statement:
    facts, currency, key = settled.facts, settled.currency, (publisher.publisher_id, settled.currency)
    statement_id = settled.statement_id(publisher.publisher_id, facts.statement_version)
    part = settled.allocation.parts.get(publisher.publisher_id, NO_SHARE) if settled.pools else NO_SHARE
    money = [PoolMoney(p.pool_id, paid[p.pool_id].get(publisher.publisher_id, 0)) for p in settled.pools]
    lines = statement_lines(statement_id, publisher, part, money, settled.allocation.basis, currency)
    amount = Money(sum(each.minor for each in money), currency)
    agreement = books.agreements.get(key) or Agreement(*key)
    first, after = period_days(facts.period)
    before = facts.statement_version - 1
    opening, adjustments = books.accounts.get(key, AccountState()), books.adjustments.get(key, ())
    return Statement(
        schema=STATEMENT_SCHEMA,
        statement_id=statement_id,
        statement_version=facts.statement_version,
        restates_statement_version=before if facts.superseded else None,
        supersedes_statement_id=settled.statement_id(key[0], before) if key in facts.superseded else None,
        status="final" if facts.final else "draft",
        publisher_id=publisher.publisher_id,
        publisher_name=publisher.name,
        model_id=facts.project,
        period=facts.period,
        period_start=first,
        period_end=(date.fromisoformat(after) - timedelta(days=1)).isoformat(),
        currency=currency,
        currency_exponent=amount.exponent,
        use_type=USE_TYPE,
        value_run=facts.value_run,
        simulate_run=facts.simulate_run,
        train_run=facts.train_run,
        repetition=facts.repetition,
        quality_certificate=facts.quality,
        agreement=agreement.terms(),
        policy=settled.policy,
        pools=settled.records,
        shrinkage=plain(facts.shrinkage),
        payable_nats=plain(settled.payable_nats),
        share=str(part.share),
        share_percent=percent(part.share),
        parts=StatementParts(
            attributed=str(part.attributed), unattributed=str(part.unattributed), moved=str(part.moved)
        ),
        attribution_signed_nats=plain(publisher.attribution_signed_nats),
        value_nats=plain(publisher.value_nats),
        attribution_payable_nats=plain(max(publisher.value_nats, Decimal(0))),
        usage_count=publisher.usage_count,
        interval=_interval(settled, publisher, part, amount),
        lines=tuple(lines),
        amount_minor=amount.minor,
        amount=amount.text(),
        balance=recounted(agreement, amount.minor)
        if facts.superseded
        else balance(agreement, opening, facts.period, amount.minor, adjustments),
        totals=StatementTotals(line_count=len(lines), lines_amount_minor=sum(line.amount_minor for line in lines)),
    )


def _pool(pool: Pool, allocation: Allocation) -> StatementPool:
    return StatementPool(
        pool_id=pool.pool_id,
        gross_revenue_minor=pool.gross_minor,
        deductions=tuple(PoolDeduction(name=name, amount_minor=minor) for name, minor in pool.deductions),
        net_revenue_minor=pool.net_minor,
        royalty_rate=str(pool.rate),
        pool_amount_minor=pool.amount.minor,
        pool_amount=pool.amount.text(),
        allocation_basis=allocation.basis,
        unattributed_minor=round(pool.amount.minor * allocation.unattributed),
    )


def _interval(settled: _Settled, publisher: PublisherValue, part: ShareParts, amount: Money) -> ValueInterval:
    """The interval of the value; of the share by value, if something is paid by it; and of the amount, if what is
    paid follows from that share: by a basis or blend without user_centric, noise floor, cap and floor."""
    interval = ValueInterval(
        confidence=CONFIDENCE,
        value_nats=plain(publisher.value_nats),
        ci_low_nats=plain(publisher.ci_low_nats),
        ci_high_nats=plain(publisher.ci_high_nats),
    )
    policy, payable, ends = settled.facts.policy, settled.payable_nats, publisher.share_ends
    weight = policy.weights.get("attribution", Fraction(0))
    if not (weight and payable and publisher.lines and ends):
        return interval
    found: dict[str, object] = {"share_low": plain(ends[0]), "share_high": plain(ends[1])}
    bounded = policy.noise_floor or policy.cap is not None or policy.floor is not None
    if not bounded and "user_centric" not in policy.weights:
        by_value = Fraction(max(publisher.value_nats, Decimal(0))) / Fraction(payable)
        shares = [part.share + weight * (Fraction(end) - by_value) for end in ends]
        found |= _amounts(amount, *(round(settled.pool_minor * share) for share in shares))
    return interval.model_copy(update=found)


def _amounts(amount: Money, low: int, high: int) -> dict[str, object]:
    """The range of amounts, which holds what is paid: that is rounded otherwise."""
    low, high = min(amount.minor, low), max(amount.minor, high)
    return {
        "amount_low_minor": low,
        "amount_low": Money(low, amount.currency).text(),
        "amount_high_minor": high,
        "amount_high": Money(high, amount.currency).text(),
        "amount_range_basis": _RANGE,
    }
