"""Statements for tests, made by `build_statements` from values.

`issue` settles a month of any publishers and pools. `statements` has several publishers, pools and currencies,
`history` several months of them: all publishers hold a part of every source, and the interval of the last of three
or more reaches down to zero, so that something is unattributed. `revised` changes fields of a statement.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from random import Random
from typing import Any

from tribute.royalty.account.agreement import Agreement
from tribute.royalty.division.policy import Policy, policy_record
from tribute.royalty.document import AccountBalance, AccountState, Adjustment, QualityCertificate, Statement
from tribute.royalty.statement.build import Books, build_statements
from tribute.royalty.statement.inputs import LineValue, PeriodFacts, Pool, PublisherValue

Pools = Sequence[tuple[str, str, int]]  # currency, pool_id, gross in minor units: half of it is paid
POOLS: Pools = (("EUR", "advertising", 2_000_001), ("EUR", "licences", 3_000), ("JPY", "abroad", 777))
PUBLISHERS = ("aurora", "Borealis & Söhne", "cassini-2")
RULE = Policy("attribution-λ", "2", noise_floor=True)
POLICY = policy_record(RULE).plain()
CERTIFICATE = QualityCertificate(
    certificate_id="evaluate-0123456789ab", sha256=32 * "ab", misallocated_pool="0.087", coverage_95="0.931"
)

Key = tuple[str, str]  # publisher, currency


def issue(
    publishers: Sequence[PublisherValue],
    pools: Sequence[Pool],
    period: str = "2026-10",
    agreements: Sequence[Agreement] = (),
    accounts: Mapping[Key, AccountState] | None = None,
    adjustments: Mapping[Key, Sequence[Adjustment]] | None = None,
    **facts: Any,
) -> list[Statement]:
    """Final statements of a month, the largest amount first; `facts`: other fields of `PeriodFacts`."""
    given = {"project": "demo", "shrinkage": Decimal("0.25"), "final": True} | facts
    runs = {name: f"{name.removesuffix('_run')}-1" for name in ("value_run", "simulate_run", "train_run")}
    terms = {(each.publisher_id, each.currency): each for each in agreements}
    books = Books(terms, accounts or {}, adjustments or {})
    return build_statements(PeriodFacts(period=period, pools=tuple(pools), **(runs | given)), publishers, books)


def closed(terms: Agreement, period: str, version: int, balance: AccountBalance) -> Statement:
    """A final statement of a publisher without sources, with the terms and the balance given."""
    [idle, *_] = statements(period, (terms.publisher_id,), 0, (("EUR", "advertising", 0),))
    changes = {
        "statement_id": f"demo-{period}-{terms.publisher_id}-{terms.currency}-v{version}",
        "statement_version": version,
        "currency": terms.currency,
        "agreement": terms.terms(),
        "balance": balance,
    }
    return revised(idle, changes)


def revised(statement: Statement, changes: Mapping[str, Any]) -> Statement:
    """A statement with other values at some places, such as `lines.0.title`, whether or not it still adds up."""
    plain = statement.plain()
    for path, value in changes.items():
        *way, last = path.split(".")
        place: Any = plain
        for step in way:
            place = place[int(step)] if isinstance(place, list) else place[step]
        place[int(last) if isinstance(place, list) else last] = value
    return Statement.model_validate(plain)


def statements(
    period: str = "2026-10",
    publishers: Sequence[str] = PUBLISHERS,
    sources: int = 2,
    pools: Pools = POOLS,
    agreements: Mapping[str, Mapping[str, Any]] | None = None,
    openings: Mapping[Key, AccountState] | None = None,
    adjustments: Mapping[Key, Sequence[int]] | None = None,
    seed: int = 0,
    policy: Policy = RULE,
    fees: Mapping[str, Fraction] | None = None,
) -> list[Statement]:
    """Final statements of a period: one per publisher and currency, sorted by id."""
    terms = [
        Agreement(name, currency, **own)
        for name, own in (agreements or {}).items()
        for currency in {currency for currency, _, _ in pools}
    ]
    corrections = {
        key: [
            Adjustment(reason=f"correction {n}", adjusts_statement_id=f"old-{n}", amount_minor=minor)
            for n, minor in enumerate(minors)
        ]
        for key, minors in (adjustments or {}).items()
    }
    values, divided = _values(publishers, sources, seed), [_pool(*pool) for pool in pools]
    made = issue(values, divided, period, terms, openings, corrections, policy=policy, fees=fees or {})
    return sorted((each for each in made if each.publisher_id in publishers), key=lambda each: each.statement_id)


def history(periods: int, seed: int, publishers: Sequence[str] = PUBLISHERS) -> list[list[Statement]]:
    """Statements of consecutive months under random terms; every account opens as it was closed."""
    random = Random(seed)
    openings: dict[Key, AccountState] = {}
    months = []
    for number in range(periods):
        period = f"{2026 + number // 12}-{number % 12 + 1:02}"
        agreements = {name: _random_terms(random, period) for name in publishers}
        corrections = {(name, "EUR"): _random_adjustments(random) for name in publishers}
        pools = [(currency, pool, random.choice((0, 7, gross))) for currency, pool, gross in POOLS]
        issued = statements(
            period, publishers, 1, pools, agreements, openings, corrections, random.randrange(10**6)
        )
        for each in issued:
            openings[each.key] = each.balance.account
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
