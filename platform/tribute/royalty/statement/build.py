"""Every publisher's account for a period, as plain data: the same inputs give the same bytes. See README."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

from tribute.royalty.account.agreement import Agreement
from tribute.royalty.account.balance import Account, Adjustment, balance, balance_json, recounted
from tribute.royalty.division.allocation import Allocation, ShareParts, allocate_shares
from tribute.royalty.division.policy import policy_json
from tribute.royalty.document import STATEMENT_SCHEMA
from tribute.royalty.exact.calendar import ends_accounting_period, period_days
from tribute.royalty.exact.money import Money, allocate
from tribute.royalty.exact.text import percent, plain, total
from tribute.royalty.statement.inputs import LineValue, PeriodFacts, Pool, PublisherValue, Quality
from tribute.royalty.statement.lines import PoolMoney, statement_lines

CONFIDENCE = "0.95"
USE_TYPE = "ai_generation"
NOTHING = ShareParts(Fraction(0), Fraction(0), Fraction(0))
_RANGE = "amount at each end of this publisher's value interval, every other publisher at its estimate"

Key = tuple[str, str]


class Books(NamedTuple):
    """What is known of publishers beside their values, by publisher and currency; missing: the default."""

    agreements: Mapping[Key, Agreement]
    accounts: Mapping[Key, Account]
    adjustments: Mapping[Key, Sequence[Adjustment]]


NO_BOOKS = Books({}, {}, {})


def build_statements(
    facts: PeriodFacts, publishers: Sequence[PublisherValue], books: Books = NO_BOOKS
) -> list[dict[str, Any]]:
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
    return sorted(statements, key=lambda s: (s["currency"], -s["amount_minor"], s["publisher_id"]))


def _open_keys(facts: PeriodFacts, books: Books) -> set[Key]:
    """Who has a statement whatever the pools are."""
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
    left = {key for key, account in books.accounts.items() if account != Account()}
    return due | granted | left | set(books.adjustments)


class _Settled(NamedTuple):
    """A period after the division, in one currency."""

    facts: PeriodFacts
    allocation: Allocation
    payable_nats: Decimal
    currency: str
    pools: tuple[Pool, ...]
    pool_minor: int
    division: Mapping[str, Any]
    """What every statement says of policy and pools: made once, since it is the same on thousands of them."""

    def statement_id(self, publisher_id: str, version: int) -> str:
        return f"{self.facts.project}-{self.facts.period}-{publisher_id}-{self.currency}-v{version}"


def _settled(facts: PeriodFacts, allocation: Allocation, payable_nats: Decimal, currency: str) -> _Settled:
    pools = tuple(pool for pool in facts.pools if pool.currency == currency)
    division = {
        "policy": policy_json(facts.policy) | {"sha256": facts.policy.sha256},
        "pools": [_pool(pool, allocation) for pool in pools],
        "shrinkage": plain(facts.shrinkage),
        "payable_nats": plain(payable_nats),
    }
    pool_minor = sum(pool.amount.minor for pool in pools)
    return _Settled(facts, allocation, payable_nats, currency, pools, pool_minor, division)


def _statement(
    settled: _Settled, publisher: PublisherValue, paid: Mapping[str, Mapping[str, int]], books: Books
) -> dict[str, Any]:
    facts, key = settled.facts, (publisher.publisher_id, settled.currency)
    statement_id = settled.statement_id(publisher.publisher_id, facts.statement_version)
    part = settled.allocation.parts.get(publisher.publisher_id, NOTHING) if settled.pools else NOTHING
    money = [PoolMoney(p.pool_id, paid[p.pool_id].get(publisher.publisher_id, 0)) for p in settled.pools]
    lines = statement_lines(statement_id, publisher, part, money, settled.allocation.basis, settled.currency)
    amount = Money(sum(each.minor for each in money), settled.currency)
    agreement = books.agreements.get(key) or Agreement(*key)
    opening, moved = books.accounts.get(key, Account()), books.adjustments.get(key, ())
    account = (
        recounted(agreement, amount.minor)
        if facts.superseded
        else balance(agreement, opening, facts.period, amount.minor, moved)
    )
    return {
        **_header(settled, statement_id, publisher),
        "agreement": _agreement(agreement),
        **_division(settled, part),
        **_values(publisher),
        "usage_count": publisher.usage_count,
        "interval": _interval(settled, publisher, amount),
        "lines": lines,
        "amount_minor": amount.minor,
        "amount": amount.text(),
        "balance": balance_json(account),
        "totals": {"line_count": len(lines), "lines_amount_minor": sum(line["amount_minor"] for line in lines)},
    }


def _header(settled: _Settled, statement_id: str, publisher: PublisherValue) -> dict[str, Any]:
    facts = settled.facts
    first, after = period_days(facts.period)
    before = facts.statement_version - 1
    had = (publisher.publisher_id, settled.currency) in facts.superseded
    return {
        "schema": STATEMENT_SCHEMA,
        "statement_id": statement_id,
        "statement_version": facts.statement_version,
        "restates_statement_version": before if facts.superseded else None,
        "supersedes_statement_id": settled.statement_id(publisher.publisher_id, before) if had else None,
        "status": "final" if facts.final else "draft",
        "publisher_id": publisher.publisher_id,
        "publisher_name": publisher.name,
        "model_id": facts.project,
        "period": facts.period,
        "period_start": first,
        "period_end": (date.fromisoformat(after) - timedelta(days=1)).isoformat(),
        "currency": settled.currency,
        "currency_exponent": Money(0, settled.currency).exponent,
        "use_type": USE_TYPE,
        "value_run": facts.value_run,
        "simulate_run": facts.simulate_run,
        "train_run": facts.train_run,
        "quality_certificate": _quality(facts.quality),
    }


def _quality(quality: Quality | None) -> dict[str, str] | None:
    if quality is None:
        return None
    return {
        "certificate_id": quality.certificate_id,
        "sha256": quality.sha256,
        "misallocated_pool": plain(quality.misallocated_pool),
        "coverage_95": plain(quality.coverage_95),
    }


def _agreement(agreement: Agreement) -> dict[str, Any]:
    rates = {name: str(getattr(agreement, name)) for name in ("rate", "reserve_rate", "withholding_rate")}
    names = ("agreement_id", "guarantee_minor", "threshold_minor", "reserve_months", "accounting_period")
    return rates | {name: getattr(agreement, name) for name in names}


def _division(settled: _Settled, part: ShareParts) -> dict[str, Any]:
    names = ("attributed", "unattributed", "moved")
    return deepcopy(dict(settled.division)) | {
        "share": str(part.share),
        "share_percent": percent(part.share),
        "parts": {name: str(getattr(part, name)) for name in names},
    }


def _pool(pool: Pool, allocation: Allocation) -> dict[str, Any]:
    return {
        "pool_id": pool.pool_id,
        "gross_revenue_minor": pool.gross_minor,
        "deductions": [{"name": name, "amount_minor": minor} for name, minor in pool.deductions],
        "net_revenue_minor": pool.net_minor,
        "royalty_rate": str(pool.rate),
        "pool_amount_minor": pool.amount.minor,
        "pool_amount": pool.amount.text(),
        "allocation_basis": allocation.basis,
        "unattributed_minor": round(pool.amount.minor * allocation.unattributed),
    }


def _values(value: PublisherValue | LineValue) -> dict[str, str]:
    return {
        "attribution_signed_nats": plain(value.attribution_signed_nats),
        "value_nats": plain(value.value_nats),
        "attribution_payable_nats": plain(max(value.value_nats, Decimal(0))),
    }


def _interval(settled: _Settled, publisher: PublisherValue, amount: Money) -> dict[str, Any]:
    interval: dict[str, Any] = {
        "confidence": CONFIDENCE,
        "value_nats": plain(publisher.value_nats),
        "ci_low_nats": plain(publisher.ci_low_nats),
        "ci_high_nats": plain(publisher.ci_high_nats),
    }
    policy, pool_minor = settled.facts.policy, settled.pool_minor
    bounded = policy.noise_floor or policy.cap is not None or policy.floor is not None
    if settled.allocation.basis != "attribution" or bounded or not publisher.lines:
        return interval
    others = Fraction(settled.payable_nats) - Fraction(max(publisher.value_nats, Decimal(0)))
    low = min(amount.minor, _amount_at(publisher.ci_low_nats, others, pool_minor))
    high = max(amount.minor, _amount_at(publisher.ci_high_nats, others, pool_minor))
    return interval | {
        "amount_low_minor": low,
        "amount_low": Money(low, amount.currency).text(),
        "amount_high_minor": high,
        "amount_high": Money(high, amount.currency).text(),
        "amount_range_basis": _RANGE,
    }


def _amount_at(value_nats: Decimal, others: Fraction, pool_minor: int) -> int:
    """Minor units for a value, halves to even, when all other publishers' payable values sum to `others`."""
    own = Fraction(max(value_nats, Decimal(0)))
    return round(pool_minor * own / (own + others)) if others else pool_minor
