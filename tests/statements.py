"""Statements for tests. All of them come from `build_statements`; they differ in publishers, pools and terms.

- `issue` settles a month of any publishers and pools; the others call it.
- `statements` has several publishers, pools and currencies; `history` has several months of them. Every publisher
  holds a part of every source. The interval of the last of three or more publishers reaches below zero, so that a
  part of the pool is unattributed.
- `settled` is a month of the golden files: four publishers with names, terms and intervals.
- `drafts` is an open month of three publishers with a tenth unattributed; `draft` is its first statement, and
  `alone` a publisher that has the whole pool.
- `revised` changes fields of a statement.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from random import Random
from typing import Any

from tribute.royalty.account import Agreement
from tribute.royalty.division import DEFAULT_POLICY, Policy, policy_record
from tribute.royalty.document import AccountBalance, AccountState, Adjustment, QualityCertificate, Statement
from tribute.royalty.statement import Books, LineValue, PeriodFacts, Pool, PublisherValue, build_statements
from tribute.valuation.shares import exact

Key = tuple[str, str]  # publisher, currency
Source = tuple[str, str, str, int]  # id, value in nats, half the width of its interval, tokens
Pools = Sequence[tuple[str, str, int]]  # currency, pool_id, gross in minor units: half of it is paid

POOLS: Pools = (("EUR", "advertising", 2_000_001), ("EUR", "licences", 3_000), ("JPY", "abroad", 777))
PUBLISHERS = ("aurora", "Borealis & Söhne", "cassini-2")
RULE = Policy("attribution-λ", "2", noise_floor=True)
POLICY = policy_record(RULE).plain()
CERTIFICATE = QualityCertificate(
    certificate_id="evaluate-0123456789ab", sha256=32 * "ab", misallocated_pool="0.087", coverage_95="0.931"
)
NAMES = {"aurora": "Aurora Press", "borealis": "Borealis & Söhne", "cassini": "Cassini", "dahlia": "Dahlia"}

EUROS = (Pool("answers", "EUR", 2_500_000, (("payment fees", 500_000),), Fraction(1, 2)),)
VALUES = {"aurora": ("30", "10"), "borealis": ("5", "3"), "cassini": ("-0.5",), "dahlia": ("2",)}
RECOUNTED = VALUES | {"aurora": ("26", "10"), "borealis": ("5", "7")}
TERMS = (
    Agreement(
        "aurora", "EUR", "advance-2026", advances=(("2026-11", 1_000_000),), withholding_rate=Fraction(3, 20)
    ),
    Agreement("aurora", "JPY", "tokyo-2026", withholding_rate=Fraction(1, 10)),
    Agreement(
        "borealis", "EUR", "quarterly", rate=Fraction(3, 4), guarantee_minor=300_000, accounting_period="quarter"
    ),
    Agreement("dahlia", "EUR", "small", threshold_minor=50_000),
)
"""An advance of 10,000.00 and 15% tax; 3/4 with 3,000.00 a quarter guaranteed; no payment below 500.00."""

AURORA: tuple[Source, ...] = (
    ("aurora-docs", "30.5", "4.25", 30_000),
    ("atlas", "13", "2.125", 15_000),
    ("aurora-blog", "-2.25", "1.5", 5_000),
)
BOREALIS: tuple[Source, ...] = (("notes & <queries>", "8.25", "2", 40_000),)
CASSINI: tuple[Source, ...] = (("cassini-forum", "5.5", "6", 30_000),)
CLIPPED = Policy("attribution-clip-aggregate", "2", noise_floor=True)


def line(source: str, value: str, margin: str, tokens: int, license: str = "MIT", **more: Any) -> LineValue:
    """A line whose interval is its value plus or minus a margin."""
    nats, width = Decimal(value), Decimal(margin)
    figures = (Decimal(more.pop("signed", value)), nats, nats - width, nats + width)
    return LineValue(source, more.pop("title", source), license, more.pop("uses", 264), *figures, tokens, **more)


def publisher(key: str, lines: Iterable[LineValue], name: str = "", **more: Any) -> PublisherValue:
    """A publisher whose value and interval are the sums over its lines."""
    own = tuple(lines)
    names = ("attribution_signed_nats", "value_nats", "ci_low_nats", "ci_high_nats")
    sums = [sum((getattr(each, field) for each in own), Decimal(0)) for field in names]
    uses = own[0].usage_count if own else 0
    return PublisherValue(key, name or NAMES.get(key, key.title()), *sums, own, uses, **more)


def with_share_ends(publishers: Sequence[PublisherValue]) -> list[PublisherValue]:
    """Publishers with intervals of their shares: each value at its ends, every other one as it is."""
    worth = {each.publisher_id: max(each.value_nats, Decimal(0)) for each in publishers}
    found = []
    for each in publishers:
        others = sum(worth.values()) - worth[each.publisher_id]
        ends = [max(nats, Decimal(0)) for nats in (each.ci_low_nats, each.ci_high_nats)]
        low, high = (exact(float(end / (end + others))) if others else Decimal(1) for end in ends)
        found.append(replace(each, share_ends=(low, high)))
    return found


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
    given = {"project": "demo", "shrinkage": Decimal("0.25"), "repetition": "retrained", "final": True} | facts
    runs = {name: f"{name.removesuffix('_run')}-1" for name in ("value_run", "simulate_run", "train_run")}
    terms = {(each.publisher_id, each.currency): each for each in agreements}
    books = Books(terms, accounts or {}, adjustments or {})
    facts = PeriodFacts(period=period, pools=tuple(pools), **(runs | given))
    return build_statements(facts, with_share_ends(publishers), books)


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
    divided = [
        Pool(name, currency, gross, (("odd unit", gross % 2),), Fraction(1, 2)) for currency, name, gross in pools
    ]
    values = _values(publishers, sources, seed)
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


def four_publishers(values: Mapping[str, tuple[str, ...]] = VALUES) -> list[PublisherValue]:
    """Four publishers with their sources' values; Aurora's blog was measured at -0.75 and calibrated to 0."""
    of = {name: iter(nats) for name, nats in values.items()}
    terms = {"rsl": "ai-train", "tdm_policy": "https://aurora.example/tdm"}
    lines = {
        "aurora": (
            line("aurora-docs", next(of["aurora"]), "4.25", 81_220, title="Aurora documentation", terms=terms),
            line("atlas", next(of["aurora"]), "2.125", 20_480, "CC-BY-4.0", split=Fraction(2, 3)),
            line("aurora-blog", "0", "1.5", 9_100, "LicenseRef-Aurora", signed="-0.75"),
        ),
        "borealis": (
            line("atlas", next(of["borealis"]), "1.0625", 10_240, "CC-BY-4.0", split=Fraction(1, 3)),
            line("notes & <queries>", next(of["borealis"]), "2", 4_096, "NOASSERTION"),
        ),
        "cassini": (line("cassini-forum", next(of["cassini"]), "0.75", 2_048, "Apache-2.0"),),
        "dahlia": (line("dahlia", next(of["dahlia"]), "0.5", 6_000, "CC-BY-4.0"),),
    }
    return [publisher(key, own) for key, own in lines.items()]


def settled(
    period: str,
    before: Sequence[Statement] = (),
    corrections: Mapping[Key, Sequence[Adjustment]] | None = None,
    values: Mapping[str, tuple[str, ...]] = VALUES,
    pools: tuple[Pool, ...] = EUROS,
    version: int = 1,
) -> list[Statement]:
    """A closed month: its accounts open as `before` left them, and carry the corrections."""
    return issue(
        four_publishers(values),
        pools,
        period,
        TERMS,
        {each.key: each.balance.account for each in before},
        corrections,
        value_run=f"value-{period}-v{version}",
        simulate_run="simulate-0123456789ab",
        train_run="train-0123456789ab",
        statement_version=version,
        superseded=frozenset((name, "EUR") for name in values if version > 1),
        quality=CERTIFICATE if pools == EUROS else None,
    )


def drafts(currency: str = "EUR", **pools: int) -> list[Statement]:
    """An open month: Aurora has 3/4 + 1/24 of the pools, Borealis 3/20 + 1/30, Cassini 1/40.

    Cassini's tenth of the value is below the noise floor, so that it is unattributed and divided by tokens, 5:4:3.
    `pools`: the amounts to divide, in minor units; by default 10,000.00 of one pool.
    """
    sources = {"aurora": AURORA, "borealis": BOREALIS, "cassini": CASSINI}
    return _open_month(sources, pools or {"main": 1_000_000}, currency, CLIPPED)


def draft(**changes: Any) -> Statement:
    """Aurora's statement of 7,916.67 EUR, with other values in some fields."""
    return revised(drafts()[0], changes)


def alone(sources: Sequence[Source], minor: int, currency: str = "EUR", pool: str = "main") -> Statement:
    """The statement of Aurora in an open month, with other sources; all of the pool is attributed to it."""
    [made] = _open_month({"aurora": sources}, {pool: minor}, currency, DEFAULT_POLICY)
    return made


def _open_month(
    sources: Mapping[str, Sequence[Source]], pools: Mapping[str, int], currency: str, policy: Policy
) -> list[Statement]:
    publishers = [publisher(key, (line(*each, "CC-BY-4.0") for each in own)) for key, own in sources.items()]
    fees = (("payment fees", 500),)
    divided = [Pool(name, currency, 2 * minor + 500, fees, Fraction(1, 2)) for name, minor in pools.items()]
    return issue(publishers, divided, "2026-12", policy=policy, final=False, quality=CERTIFICATE)


def account(
    allocated_minor: int,
    adjustments: Sequence[Adjustment] = (),
    royalty_rate: str = "1",
    withholding_tax_rate: str = "0",
    pays: bool | None = None,
    account: AccountState | None = None,
    **amounts: int,
) -> AccountBalance:
    """A balance that adds up: everything is paid unless `pays` is false; the other amounts are 0."""
    earned = round(allocated_minor * Fraction(royalty_rate))
    corrected = sum(each.amount_minor for each in adjustments)
    steps = dict.fromkeys((name for name in AccountBalance.model_fields if name.endswith("_minor")), 0) | amounts
    due = (
        steps["opening_balance_minor"] + earned + corrected
        - steps["advance_recouped_minor"] + steps["minimum_guarantee_shortfall_minor"]
        - steps["reserve_held_minor"] + steps["reserve_released_minor"]
    )  # fmt: skip
    paying = due > 0 if pays is None else pays
    withheld = round(due * Fraction(withholding_tax_rate)) if paying else 0
    paid = due - withheld if paying else 0
    closing = due - withheld - paid
    steps |= {"royalty_allocated_minor": allocated_minor, "royalty_earned_minor": earned}
    steps |= {"prior_period_adjustment_minor": corrected, "payable_before_tax_minor": due}
    steps |= {"withholding_tax_minor": withheld, "amount_paid_minor": paid}
    steps |= {"carried_forward_minor": closing, "closing_balance_minor": closing}
    return AccountBalance(
        adjustments=tuple(adjustments),
        royalty_rate=royalty_rate,
        withholding_tax_rate=withholding_tax_rate,
        account=account or AccountState(balance_minor=closing),
        **steps,
    )


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


def _values(publishers: Sequence[str], sources: int, seed: int) -> list[PublisherValue]:
    """Publishers whose part of every source, and so their value, is by a weight from 1 to 99.

    Without sources they are idle, and another publisher has all.
    """
    if not sources:
        return [*(publisher(name, (), name.title()) for name in publishers), _weighted("another", 1, 1, 1)]
    random = Random(seed)
    weights = {name: random.randrange(1, 100) for name in publishers}
    found = [_weighted(name, weight, sum(weights.values()), sources) for name, weight in weights.items()]
    if len(found) > 2:
        found[-1] = replace(found[-1], ci_low_nats=Decimal(-1))
    return found


def _weighted(name: str, weight: int, whole: int, sources: int) -> PublisherValue:
    """Every source is worth `whole` nats, from a half to three halves of it, and has 812 tokens a nat."""
    half = Decimal(weight) / 2
    split = {"split": Fraction(weight, whole), "terms": {"rsl": "ai-train"}, "uses": 7}
    figures = (str(weight), str(half), 812 * weight, "CC-BY-4.0")
    titles = {f"source-{number}": f"Title of source {number}, “quoted”" for number in range(sources)}
    lines = [line(source, *figures, title=title, **split) for source, title in titles.items()]
    by_customer = {"customer-1": Decimal(weight) * sources - half, "customer-2": half}
    return publisher(name, lines, name.title(), by_customer=by_customer)
