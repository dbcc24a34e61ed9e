"""Complete statements of schema 2 for the tests of proof and ledger: several publishers, pools and currencies.

Divided by `allocate`, accounted for by `balance`; `statements` of one period, `history` of several.
"""

import hashlib
from collections.abc import Mapping, Sequence
from fractions import Fraction
from random import Random
from typing import Any

from tribute.royalty.agreement import Agreement
from tribute.royalty.balance import Account, Adjustment, account_from_json, balance, balance_json
from tribute.royalty.canonical import canonical_json
from tribute.royalty.exact_text import percent
from tribute.royalty.money import Money, allocate, currency_exponent

Pools = Sequence[tuple[str, str, int]]  # currency, pool_id, gross in minor units: half of it is paid
POOLS: Pools = (("EUR", "advertising", 2_000_001), ("EUR", "licences", 3_000), ("JPY", "advertising", 777))
PUBLISHERS = ("aurora", "Borealis & Söhne", "cassini-2")
_FIELDS = {
    "name": "attribution-clip-aggregate",
    "version": "2",
    "basis": "attribution",
    "text": "Paid by value, λ.",
}
POLICY = _FIELDS | {"sha256": hashlib.sha256(canonical_json(_FIELDS)).hexdigest()}


Key = tuple[str, str]  # publisher, currency


def statements(
    period: str = "2026-10",
    publishers: Sequence[str] = PUBLISHERS,
    sources: int = 2,
    pools: Pools = POOLS,
    agreements: Mapping[str, Mapping[str, Any]] | None = None,
    openings: Mapping[Key, Account] | None = None,
    adjustments: Mapping[Key, Sequence[int]] | None = None,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Final statements of a period: one per publisher and currency, sorted by id."""
    random = Random(seed)
    weights = {name: random.randrange(1, 100) for name in publishers}
    shares = {name: Fraction(weight, sum(weights.values())) for name, weight in weights.items()}
    issued = []
    for currency in sorted({pool[0] for pool in pools}):
        of_currency = [pool for pool in pools if pool[0] == currency]
        paid = {pool[1]: allocate(pool[2] // 2, shares) for pool in of_currency}
        for name in publishers:
            amounts = {pool: minors[name] for pool, minors in paid.items()}
            agreement = Agreement(name, currency, **(agreements or {}).get(name, {}))
            opening = (openings or {}).get((name, currency), Account())
            moved = [
                Adjustment(f"correction {n}", f"old-{n}", minor)
                for n, minor in enumerate((adjustments or {}).get((name, currency), ()))
            ]
            account = balance_json(balance(agreement, opening, period, sum(amounts.values()), moved))
            issued.append(_statement(period, of_currency, amounts, shares[name], sources, agreement, account))
    return sorted(issued, key=lambda each: each["statement_id"])


def history(periods: int, seed: int, publishers: Sequence[str] = PUBLISHERS) -> list[list[dict[str, Any]]]:
    """Statements of consecutive months under random terms; every account opens as it was closed."""
    random = Random(seed)
    openings: dict[Key, Account] = {}
    months = []
    for number in range(periods):
        period = f"{2026 + number // 12}-{number % 12 + 1:02}"
        agreements = {name: _random_terms(random, period) for name in publishers}
        moved = {(name, "EUR"): _random_adjustments(random) for name in publishers}
        pools = [(currency, pool, random.choice((0, 7, gross))) for currency, pool, gross in POOLS]
        issued = statements(period, publishers, 1, pools, agreements, openings, moved, random.randrange(10**6))
        for each in issued:
            key = each["publisher_id"], each["currency"]
            openings[key] = account_from_json(each["balance"]["account"])
        months.append(issued)
    return months


def _random_terms(random: Random, period: str) -> dict[str, Any]:
    return {
        "rate": random.choice((Fraction(1), Fraction(17, 20), Fraction(0))),
        "advances": random.choice(((), (), ((period, 50_000),))),
        "guarantee_minor": random.choice((0, 0, 9_999)),
        "threshold_minor": random.choice((0, 100_000)),
        "reserve_rate": random.choice((Fraction(0), Fraction(1, 10))),
        "reserve_months": random.choice((1, 3)),
        "withholding_rate": random.choice((Fraction(0), Fraction(3, 20))),
        "accounting_period": random.choice(("month", "month", "quarter")),
    }


def _random_adjustments(random: Random) -> tuple[int, ...]:
    return tuple(random.randrange(-200_000, 50_000) for _ in range(random.choice((0, 0, 0, 2))))


def _statement(
    period: str, pools: Pools, amounts: Mapping[str, int], share: Fraction, sources: int, agreement: Agreement,
    account: Mapping[str, Any],
) -> dict[str, Any]:  # fmt: skip
    publisher = agreement.publisher_id
    currency = pools[0][0]
    name = f"demo-{period}-{publisher}-{currency}-v1"
    lines = [line for _, pool, _ in pools for line in _lines(name, pool, amounts[pool], currency, sources)]
    total = Money(sum(amounts.values()), currency)
    return {
        "schema": "tribute.statement/2",
        "statement_id": name,
        "statement_version": 1,
        "supersedes_statement_id": None,
        "status": "final",
        "publisher_id": publisher,
        "publisher_name": publisher.title(),
        "agreement": {
            "agreement_id": agreement.agreement_id,
            "rate": str(agreement.rate),
            "guarantee_minor": agreement.guarantee_minor,
            "threshold_minor": agreement.threshold_minor,
            "reserve_rate": str(agreement.reserve_rate),
            "reserve_months": agreement.reserve_months,
            "withholding_rate": str(agreement.withholding_rate),
            "accounting_period": agreement.accounting_period,
        },
        "model_id": "demo",
        "period": period,
        "period_start": f"{period}-01",
        "period_end": f"{period}-28",
        "currency": currency,
        "currency_exponent": currency_exponent(currency),
        "use_type": "ai_generation",
        "value_run": "value-1",
        "simulate_run": "simulate-1",
        "train_run": "train-1",
        "quality_certificate": None,
        "policy": dict(POLICY),
        "pools": [_pool(*pool) for pool in pools],
        "shrinkage": "0.25",
        "payable_nats": "49.5",
        "share": str(share),
        "share_percent": percent(share),
        "parts": {"attributed": str(share * Fraction(9, 10)), "unattributed": str(share / 10), "moved": "0"},
        "usage_count": 7,
        **_nats(),
        "interval": {"confidence": "0.95", "value_nats": "1.5", "ci_low_nats": "1", "ci_high_nats": "2"}
        | {"amount_low_minor": 1, "amount_low": Money(1, currency).text()}
        | {"amount_high_minor": 2, "amount_high": Money(2, currency).text(), "amount_range_basis": "alone"},
        "lines": lines,
        "amount_minor": total.minor,
        "amount": total.text(),
        "balance": dict(account),
        "totals": {"line_count": len(lines), "lines_amount_minor": total.minor},
    }


def _pool(currency: str, pool: str, gross: int) -> dict[str, Any]:
    net = gross // 2 * 2
    return {
        "pool_id": pool,
        "gross_revenue_minor": gross,
        "deductions": [{"name": "odd unit", "amount_minor": gross - net}],
        "net_revenue_minor": net,
        "royalty_rate": "0.5",
        "pool_amount_minor": net // 2,
        "pool_amount": Money(net // 2, currency).text(),
        "allocation_basis": "attribution",
        "unattributed_minor": net // 20,
    }


def _nats() -> dict[str, str]:
    return {"attribution_signed_nats": "1.5", "value_nats": "1.5", "attribution_payable_nats": "1.5"}


def _lines(name: str, pool: str, minor: int, currency: str, sources: int) -> list[dict[str, Any]]:
    names = [*(f"source-{n}" for n in range(sources)), None]
    parts = allocate(minor, {str(each): Fraction(1, len(names)) for each in names})
    return [
        {
            "line_id": f"{name}:{pool}:{source}",
            "line_type": "source" if source else "unattributed",
            "pool_id": pool,
            "source_id": source,
            "title": f"Title of {source}, “quoted”",
            "license": "CC-BY-4.0",
            "terms": "rsl: ai-train",
            "split": "1/1",
            "use_type": "ai_generation",
            "usage_count": 7,
            "tokens": 81_220,
            **_nats(),
            "ci_low_nats": "1",
            "ci_high_nats": "2",
            "share": f"1/{len(names)}",
            "amount_minor": parts[str(source)],
            "amount": Money(parts[str(source)], currency).text(),
        }
        for source in names
    ]
