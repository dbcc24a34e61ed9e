"""Closed statements for the tests of proof and ledger: several publishers, pools and currencies.

Made by `build_statements` from values; `statements` of one period, `history` of several. All publishers hold a
part of every source, and the interval of the last of three or more reaches down to zero, so that something is
unattributed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from random import Random
from typing import Any

from tribute.royalty.account.agreement import Agreement
from tribute.royalty.account.balance import Account, Adjustment, account_from_json
from tribute.royalty.division.policy import Policy, policy_json
from tribute.royalty.statement.build import Books, build_statements
from tribute.royalty.statement.inputs import LineValue, PeriodFacts, Pool, PublisherValue

Pools = Sequence[tuple[str, str, int]]  # currency, pool_id, gross in minor units: half of it is paid
POOLS: Pools = (("EUR", "advertising", 2_000_001), ("EUR", "licences", 3_000), ("JPY", "abroad", 777))
PUBLISHERS = ("aurora", "Borealis & Söhne", "cassini-2")
RULE = Policy("attribution-λ", "2", noise_floor=True)
POLICY = policy_json(RULE) | {"sha256": RULE.sha256}

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
    policy: Policy = RULE,
    fees: Mapping[str, Fraction] | None = None,
) -> list[dict[str, Any]]:
    """Final statements of a period: one per publisher and currency, sorted by id."""
    currencies = {currency for currency, _, _ in pools}
    facts = PeriodFacts(
        project="demo",
        period=period,
        pools=tuple(_pool(*pool) for pool in pools),
        shrinkage=Decimal("0.25"),
        value_run="value-1",
        simulate_run="simulate-1",
        train_run="train-1",
        policy=policy,
        fees=fees or {},
        final=True,
    )
    terms = {
        (name, currency): Agreement(name, currency, **own)
        for name, own in (agreements or {}).items()
        for currency in currencies
    }
    moved = {
        key: [
            Adjustment(reason=f"correction {n}", adjusts_statement_id=f"old-{n}", amount_minor=minor)
            for n, minor in enumerate(minors)
        ]
        for key, minors in (adjustments or {}).items()
    }
    made = build_statements(facts, _values(publishers, sources, seed), Books(terms, openings or {}, moved))
    own = [each for each in made if each["publisher_id"] in publishers]
    return sorted(own, key=lambda each: str(each["statement_id"]))


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


def _pool(currency: str, pool_id: str, gross: int) -> Pool:
    return Pool(pool_id, currency, gross, (("odd unit", gross % 2),), Fraction(1, 2))


def _values(publishers: Sequence[str], sources: int, seed: int) -> list[PublisherValue]:
    """Publishers whose part of every source, and so their value, is by a weight from 1 to 99.

    Without sources they are idle, and another publisher has all.
    """
    if not sources:
        nothing = (Decimal(0),) * 4
        idle = [PublisherValue(name, name.title(), *nothing, lines=()) for name in publishers]
        return [*idle, _value("another", 1, 1, 1)]
    random = Random(seed)
    weights = {name: random.randrange(1, 100) for name in publishers}
    found = [_value(name, weight, sum(weights.values()), sources) for name, weight in weights.items()]
    if len(found) > 2:
        found[-1] = replace(found[-1], ci_low_nats=Decimal(-1))
    return found


def _value(name: str, weight: int, whole: int, sources: int) -> PublisherValue:
    """Every source is worth `whole` nats, from a half to three halves of it, and has 812 tokens a nat."""
    nats, half = Decimal(weight), Decimal(weight) / 2
    lines = tuple(
        LineValue(
            f"source-{number}",
            f"Title of source {number}, “quoted”",
            "CC-BY-4.0",
            usage_count=7,
            attribution_signed_nats=nats,
            value_nats=nats,
            ci_low_nats=half,
            ci_high_nats=nats + half,
            tokens=812 * weight,
            split=Fraction(weight, whole),
            terms={"rsl": "ai-train"},
        )
        for number in range(sources)
    )
    own = nats * sources
    by_customer = {"customer-1": own - half, "customer-2": half}
    return PublisherValue(name, name.title(), own, own, own / 2, own * 3 / 2, lines, 7, by_customer)
