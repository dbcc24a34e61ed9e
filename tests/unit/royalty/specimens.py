"""Statements written by hand, so that tests of their readers do not depend on how statements are built."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

from tests.unit.royalty.issued import CERTIFICATE, revised
from tribute.royalty.account import Agreement
from tribute.royalty.division import Policy, policy_record
from tribute.royalty.document import (
    AccountBalance,
    AccountState,
    Adjustment,
    PoolDeduction,
    SourceLine,
    Statement,
    StatementLine,
    StatementParts,
    StatementPool,
    StatementTotals,
    UnattributedLine,
    ValueInterval,
)
from tribute.royalty.exact.money import Money, allocate, currency_exponent
from tribute.royalty.exact.text import percent

Source = tuple[str, str, str, int]  # id, value in nats, half width of its interval, tokens
AURORA: tuple[Source, ...] = (
    ("aurora-docs", "30.5", "4.25", 81_220),
    ("atlas", "13", "2.125", 20_480),
    ("aurora-blog", "-2.25", "1.5", 9_100),
)
BOREALIS: tuple[Source, ...] = (("notes & <queries>", "8.25", "2", 4_096),)
CASSINI: tuple[Source, ...] = (("cassini-forum", "-0.5", "0.75", 2_048),)
NAMES = {"aurora": "Aurora Press", "borealis": "Borealis & Söhne", "cassini": "Cassini"}
SHARES = {"aurora": (Fraction(3, 4), Fraction(1, 24)), "borealis": (Fraction(3, 20), Fraction(1, 30))}
"""Attributed and unattributed parts; Cassini has the last 1/40, all of it unattributed."""
POLICY = policy_record(Policy("attribution-clip-aggregate", "2"))


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


def statement(
    publisher: str,
    sources: tuple[Source, ...],
    amounts: dict[str, tuple[int, int]],
    pools: Sequence[StatementPool],
    currency: str = "EUR",
) -> Statement:
    """One publisher's statement; `amounts`: per pool, minor units attributed and unattributed."""
    identity = f"demo-2026-12-{publisher}-{currency}-v1"
    lines = tuple(
        line
        for each in pools
        for line in _lines(identity, sources, *amounts[each.pool_id], each.pool_id, currency)
    )
    total = sum(line.amount_minor for line in lines)
    attributed, unattributed = SHARES.get(publisher, (Fraction(0), Fraction(1, 40)))
    value = sum((Fraction(each[1]) for each in sources), Fraction(0))
    wide = sum((Fraction(each[2]) for each in sources), Fraction(0))
    low, middle, high = (_decimal(each) for each in (value - wide, value, value + wide))
    return Statement(
        schema="tribute.statement/2", statement_id=identity, statement_version=1,
        restates_statement_version=None, supersedes_statement_id=None, status="draft",
        publisher_id=publisher, publisher_name=NAMES.get(publisher, publisher), model_id="demo",
        period="2026-12", period_start="2026-12-01", period_end="2026-12-31", currency=currency,
        currency_exponent=currency_exponent(currency), use_type="ai_generation",
        agreement=Agreement(publisher, currency).terms(),
        value_run="value-0123456789ab", simulate_run="simulate-0123456789ab", train_run="train-0123456789ab",
        quality_certificate=CERTIFICATE, policy=POLICY, pools=tuple(pools), shrinkage="0.25", payable_nats="49.5",
        share=str(attributed + unattributed), share_percent=percent(attributed + unattributed),
        parts=StatementParts(attributed=str(attributed), unattributed=str(unattributed), moved="0"),
        usage_count=264, attribution_signed_nats=middle, value_nats=middle,
        attribution_payable_nats=_decimal(max(value, Fraction(0))),
        interval=ValueInterval(
            confidence="0.95", value_nats=middle, ci_low_nats=low, ci_high_nats=high,
            amount_low_minor=max(total - 100, 0), amount_low=Money(max(total - 100, 0), currency).text(),
            amount_high_minor=total + 100, amount_high=Money(total + 100, currency).text(),
            amount_range_basis="amount at each end of this publisher's value interval, every other publisher "
            "at its estimate",
        ),
        lines=lines, amount_minor=total, amount=Money(total, currency).text(), balance=account(total),
        totals=StatementTotals(line_count=len(lines), lines_amount_minor=total),
    )  # fmt: skip


def pool(pool_id: str, amount: int, currency: str = "EUR", unattributed: int = 0) -> StatementPool:
    """Half of a revenue after one deduction."""
    return StatementPool(
        pool_id=pool_id,
        gross_revenue_minor=2 * amount + 500,
        deductions=(PoolDeduction(name="payment fees", amount_minor=500),),
        net_revenue_minor=2 * amount,
        royalty_rate="1/2",
        pool_amount_minor=amount,
        pool_amount=Money(amount, currency).text(),
        allocation_basis="attribution",
        unattributed_minor=unattributed,
    )


def period(currency: str = "EUR", **pools: int) -> list[Statement]:
    """Three publishers and one or more pools of one currency, whole."""
    made: list[StatementPool] = []
    amounts: dict[str, dict[str, tuple[int, int]]] = {"aurora": {}, "borealis": {}, "cassini": {}}
    for name, minor in (pools or {"main": 1_000_000}).items():
        parts = {f"{who}/{part}": share for who, both in SHARES.items() for part, share in enumerate(both)}
        paid = allocate(minor, parts | {"cassini/0": Fraction(0), "cassini/1": Fraction(1, 40)})
        for who, of in amounts.items():
            of[name] = (paid[f"{who}/0"], paid[f"{who}/1"])
        made.append(pool(name, minor, currency, sum(of[name][1] for of in amounts.values())))
    sources = {"aurora": AURORA, "borealis": BOREALIS, "cassini": CASSINI}
    return [statement(who, sources[who], amounts[who], made, currency) for who in sources]


def one(**changes: Any) -> Statement:
    """Aurora's statement of 10,000.00 EUR, with other values in some fields."""
    return revised(period()[0], changes)


def _lines(
    identity: str, sources: tuple[Source, ...], attributed: int, unattributed: int, pool_id: str, currency: str
) -> Iterator[StatementLine]:
    weights = {name: max(Fraction(value), Fraction(0)) for name, value, _, _ in sources}
    whole = sum(weights.values(), Fraction(0))
    paid = allocate(attributed, {name: each / whole for name, each in weights.items()}) if whole else {}
    for name, value, wide, tokens in sources:
        middle, half = Fraction(value), Fraction(wide)
        yield SourceLine(
            line_id=f"{identity}:{pool_id}:{name}", line_type="source", pool_id=pool_id, source_id=name,
            title=name, license="CC-BY-4.0", terms={}, split="1/1", use_type="ai_generation", usage_count=264,
            tokens=tokens, attribution_signed_nats=value, value_nats=value,
            attribution_payable_nats=_decimal(max(middle, Fraction(0))), ci_low_nats=_decimal(middle - half),
            ci_high_nats=_decimal(middle + half), share="1/3", amount_minor=paid.get(name, 0),
            amount=Money(paid.get(name, 0), currency).text(),
        )  # fmt: skip
    if unattributed:
        yield UnattributedLine(
            line_id=f"{identity}:{pool_id}:unattributed", line_type="unattributed", pool_id=pool_id,
            source_id=None, title=None, license=None, terms={}, split=None, use_type="ai_generation",
            usage_count=None,
            tokens=None, attribution_signed_nats=None, value_nats=None, attribution_payable_nats=None,
            ci_low_nats=None, ci_high_nats=None, share="1/24", amount_minor=unattributed,
            amount=Money(unattributed, currency).text(),
        )  # fmt: skip


def _decimal(value: Fraction) -> str:
    text = f"{value.numerator * 1000 // value.denominator:+05d}"
    return f"{text[:-3]}.{text[-3:]}".lstrip("+").rstrip("0").rstrip(".")
