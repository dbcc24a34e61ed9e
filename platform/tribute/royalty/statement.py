"""A publisher's account for a period, as plain data: the same inputs give the same bytes."""

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from tribute.config import period_days
from tribute.royalty.exact_text import percent, plain, total
from tribute.royalty.money import Money
from tribute.royalty.settlement import settle, split_lines
from tribute.royalty.valued import LineValue, PeriodFacts, PublisherValue, Quality

SCHEMA = "tribute.statement/1"
CONFIDENCE = "0.95"
_RANGE = "amount at each end of this publisher's value interval, every other publisher at its estimate"


def build_statements(facts: PeriodFacts, publishers: Sequence[PublisherValue]) -> list[dict[str, Any]]:
    """Settle the pool and write every publisher's statement, the largest amount first.

    Raises:
        MoneyError: shares that do not sum to 1, or a publisher without sources that is owed money.
    """
    amounts = settle(facts.pool, {publisher.publisher_id: publisher.share for publisher in publishers})
    payable = total(_payable(publisher.value_nats) for publisher in publishers)
    ranked = sorted(publishers, key=lambda p: (-amounts[p.publisher_id].minor, p.publisher_id))
    return [build_statement(facts, p, amounts[p.publisher_id], payable) for p in ranked]


def build_statement(
    facts: PeriodFacts, publisher: PublisherValue, amount: Money, payable_nats: Decimal
) -> dict[str, Any]:
    """One statement, JSON-ready: amounts are integers of minor units, all other numbers are text.

    Args:
        amount: what `settle` gave the publisher.
        payable_nats: sum of all publishers' values above zero; if it is 0, the token shares were paid.

    Raises:
        MoneyError: money without a source to carry it.
    """
    statement_id = f"{facts.project}-{facts.period}-{publisher.publisher_id}-v{facts.statement_version}"
    lines = _lines(statement_id, publisher, amount)
    return {
        **_header(facts, statement_id, publisher),
        **_pool(facts, payable_nats),
        "share": f"{publisher.share.numerator}/{publisher.share.denominator}",
        "share_percent": percent(publisher.share),
        "amount_minor": amount.minor,
        "amount": amount.text(),
        **_values(publisher),
        "interval": _interval(facts, publisher, amount, payable_nats),
        "lines": lines,
        "totals": {"line_count": len(lines), "lines_amount_minor": sum(line["amount_minor"] for line in lines)},
    }


def _header(facts: PeriodFacts, statement_id: str, publisher: PublisherValue) -> dict[str, Any]:
    first, after = period_days(facts.period)
    return {
        "schema": SCHEMA,
        "statement_id": statement_id,
        "statement_version": facts.statement_version,
        "supersedes_statement_id": None,
        "status": "draft",
        "publisher_id": publisher.publisher_id,
        "publisher_name": publisher.name,
        "model_id": facts.project,
        "period": facts.period,
        "period_start": first,
        "period_end": (date.fromisoformat(after) - timedelta(days=1)).isoformat(),
        "currency": facts.pool.currency,
        "currency_exponent": facts.pool.exponent,
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


def _pool(facts: PeriodFacts, payable_nats: Decimal) -> dict[str, Any]:
    policy = facts.policy
    return {
        "policy": {
            "name": policy.name,
            "version": policy.version,
            "text": policy.text,
            "sha256": policy.sha256,
        },
        "pool": {
            "pool_amount_minor": facts.pool.minor,
            "pool_amount": facts.pool.text(),
            "allocation_basis": facts.allocation_basis if payable_nats else "token_count",
            "shrinkage": plain(facts.shrinkage),
            "payable_nats": plain(payable_nats),
        },
    }


def _values(value: PublisherValue | LineValue) -> dict[str, str]:
    return {
        "attribution_signed_nats": plain(value.attribution_signed_nats),
        "value_nats": plain(value.value_nats),
        "attribution_payable_nats": plain(_payable(value.value_nats)),
    }


def _interval(
    facts: PeriodFacts, publisher: PublisherValue, amount: Money, payable_nats: Decimal
) -> dict[str, Any]:
    interval: dict[str, Any] = {
        "confidence": CONFIDENCE,
        "value_nats": plain(publisher.value_nats),
        "ci_low_nats": plain(publisher.ci_low_nats),
        "ci_high_nats": plain(publisher.ci_high_nats),
    }
    if facts.allocation_basis != "attribution" or not payable_nats:
        return interval
    others = Fraction(payable_nats) - Fraction(_payable(publisher.value_nats))
    low = min(amount.minor, _amount_at(publisher.ci_low_nats, others, facts.pool))
    high = max(amount.minor, _amount_at(publisher.ci_high_nats, others, facts.pool))
    return interval | {
        "amount_low_minor": low,
        "amount_low": Money(low, amount.currency).text(),
        "amount_high_minor": high,
        "amount_high": Money(high, amount.currency).text(),
        "amount_range_basis": _RANGE,
    }


def _amount_at(value_nats: Decimal, others: Fraction, pool: Money) -> int:
    """Minor units for a value, halves to even, when all other publishers' payable values sum to `others`."""
    own = Fraction(_payable(value_nats))
    return round(pool.minor * own / (own + others)) if others else pool.minor


def _lines(statement_id: str, publisher: PublisherValue, amount: Money) -> list[dict[str, Any]]:
    """The sources, the best paid first; without any payable value they are paid by their tokens."""
    weights = {line.source_id: Fraction(_payable(line.value_nats)) for line in publisher.lines}
    if not any(weights.values()):
        weights = {line.source_id: Fraction(line.tokens) for line in publisher.lines}
    minors = split_lines(amount, weights)
    lines = sorted(publisher.lines, key=lambda line: (-minors[line.source_id], line.source_id))
    return [
        {
            "line_id": f"{statement_id}:{line.source_id}",
            "source_id": line.source_id,
            "title": line.title,
            "license": line.license,
            "split": f"{line.split.numerator}/{line.split.denominator}",
            "usage_count": line.usage_count,
            "tokens": line.tokens,
            **_values(line),
            "ci_low_nats": plain(line.ci_low_nats),
            "ci_high_nats": plain(line.ci_high_nats),
            "amount_minor": minors[line.source_id],
            "amount": Money(minors[line.source_id], amount.currency).text(),
        }
        for line in lines
    ]


def _payable(value_nats: Decimal) -> Decimal:
    return max(value_nats, Decimal(0))
