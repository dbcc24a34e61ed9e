"""Statements of schema 2 written by hand, as their readers meet them: no builder has a say in these tests."""

from fractions import Fraction
from typing import Any

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


def account(allocated_minor: int, **changes: Any) -> dict[str, Any]:
    """A balance that adds up: what the changes name, and everything paid unless they say otherwise."""
    rate = Fraction(changes.pop("royalty_rate", "1"))
    fields = {name: changes.pop(name, 0) for name in _INTEGERS}
    fields["royalty_allocated_minor"] = allocated_minor
    fields["royalty_earned_minor"] = round(allocated_minor * rate)
    adjustments = changes.pop("adjustments", [])
    fields["prior_period_adjustment_minor"] = sum(each["amount_minor"] for each in adjustments)
    due = (
        fields["opening_balance_minor"] + fields["royalty_earned_minor"] + fields["prior_period_adjustment_minor"]
        - fields["advance_recouped_minor"] + fields["minimum_guarantee_shortfall_minor"]
        - fields["reserve_held_minor"] + fields["reserve_released_minor"]
    )  # fmt: skip
    tax = Fraction(changes.pop("withholding_tax_rate", "0"))
    pays = changes.pop("pays", due > 0)
    withheld = round(due * tax) if pays else 0
    paid = due - withheld if pays else 0
    closing = due - withheld - paid
    fields |= {"payable_before_tax_minor": due, "withholding_tax_minor": withheld, "amount_paid_minor": paid}
    fields |= {"carried_forward_minor": closing, "closing_balance_minor": closing}
    return (
        {"adjustments": adjustments, "royalty_rate": str(rate), "withholding_tax_rate": str(tax)}
        | fields
        | {"account": {"balance_minor": closing, "unrecouped_minor": 0, "reserves": [], "earned_minor": 0}}
        | changes
    )


_INTEGERS = (
    "opening_balance_minor", "royalty_allocated_minor", "royalty_earned_minor", "prior_period_adjustment_minor",
    "advance_granted_minor", "advance_recouped_minor", "minimum_guarantee_shortfall_minor", "reserve_held_minor",
    "reserve_released_minor", "payable_before_tax_minor", "withholding_tax_minor", "amount_paid_minor",
    "carried_forward_minor", "closing_balance_minor", "unrecouped_advance_minor",
)  # fmt: skip


def statement(
    publisher: str, sources: tuple[Source, ...], amounts: dict[str, tuple[int, int]], pools: list[dict[str, Any]]
) -> dict[str, Any]:
    """One publisher's statement; `amounts`: per pool, minor units attributed and unattributed."""
    currency = pools[0]["currency"]
    identity = f"demo-2026-12-{publisher}-{currency}-v1"
    lines = [line for pool in pools for line in _lines(identity, sources, *amounts[pool["pool_id"]], pool)]
    total = sum(line["amount_minor"] for line in lines)
    attributed, unattributed = SHARES.get(publisher, (Fraction(0), Fraction(1, 40)))
    value = sum((Fraction(each[1]) for each in sources), Fraction(0))
    wide = sum((Fraction(each[2]) for each in sources), Fraction(0))
    low, middle, high = (_decimal(each) for each in (value - wide, value, value + wide))
    return {
        "schema": "tribute.statement/2", "statement_id": identity, "statement_version": 1,
        "restates_statement_version": None, "supersedes_statement_id": None, "status": "draft",
        "publisher_id": publisher, "publisher_name": NAMES.get(publisher, publisher), "model_id": "demo",
        "period": "2026-12", "period_start": "2026-12-01", "period_end": "2026-12-31", "currency": currency,
        "currency_exponent": currency_exponent(currency), "use_type": "ai_generation",
        "agreement": {
            "agreement_id": "standard", "rate": "1", "guarantee_minor": 0, "threshold_minor": 0,
            "reserve_rate": "0", "reserve_months": 0, "withholding_rate": "0", "accounting_period": "month",
        },
        "value_run": "value-0123456789ab", "simulate_run": "simulate-0123456789ab",
        "train_run": "train-0123456789ab",
        "quality_certificate": {
            "certificate_id": "evaluate-0123456789ab", "sha256": 32 * "ab", "misallocated_pool": "0.087",
            "coverage_95": "0.931",
        },
        "policy": {
            "name": "attribution-clip-aggregate", "version": "2", "basis": "attribution", "sha256": 32 * "c9",
            "text": "The value of a source is what the model's answers of the period would have lost in "
            "log-likelihood (nats) had the source been absent from its training. " * 3,
        },
        "pools": [{name: pool[name] for name in pool if name != "currency"} for pool in pools],
        "shrinkage": "0.25", "payable_nats": "49.5",
        "share": str(attributed + unattributed), "share_percent": percent(attributed + unattributed),
        "parts": {"attributed": str(attributed), "unattributed": str(unattributed), "moved": "0"},
        "usage_count": 264, "attribution_signed_nats": middle, "value_nats": middle,
        "attribution_payable_nats": _decimal(max(value, Fraction(0))),
        "interval": {
            "confidence": "0.95", "value_nats": middle, "ci_low_nats": low, "ci_high_nats": high,
            "amount_low_minor": max(total - 100, 0), "amount_low": Money(max(total - 100, 0), currency).text(),
            "amount_high_minor": total + 100, "amount_high": Money(total + 100, currency).text(),
            "amount_range_basis": "amount at each end of this publisher's value interval, every other publisher "
            "at its estimate",
        },
        "lines": lines, "amount_minor": total, "amount": Money(total, currency).text(),
        "balance": account(total),
        "totals": {"line_count": len(lines), "lines_amount_minor": total},
    }  # fmt: skip


def pool(pool_id: str, amount: int, currency: str, unattributed: int = 0) -> dict[str, Any]:
    """Half of a revenue after one deduction."""
    return {
        "pool_id": pool_id, "currency": currency, "gross_revenue_minor": 2 * amount + 500,
        "deductions": [{"name": "payment fees", "amount_minor": 500}], "net_revenue_minor": 2 * amount,
        "royalty_rate": "1/2", "pool_amount_minor": amount, "pool_amount": Money(amount, currency).text(),
        "allocation_basis": "attribution", "unattributed_minor": unattributed,
    }  # fmt: skip


def period(currency: str = "EUR", **pools: int) -> list[dict[str, Any]]:
    """Three publishers and one or more pools of one currency, whole."""
    made: list[dict[str, Any]] = []
    amounts: dict[str, dict[str, tuple[int, int]]] = {"aurora": {}, "borealis": {}, "cassini": {}}
    for name, minor in (pools or {"main": 1_000_000}).items():
        parts = {f"{who}/{part}": share for who, both in SHARES.items() for part, share in enumerate(both)}
        paid = allocate(minor, parts | {"cassini/0": Fraction(0), "cassini/1": Fraction(1, 40)})
        for who, of in amounts.items():
            of[name] = (paid[f"{who}/0"], paid[f"{who}/1"])
        made.append(pool(name, minor, currency, sum(of[name][1] for of in amounts.values())))
    sources = {"aurora": AURORA, "borealis": BOREALIS, "cassini": CASSINI}
    return [statement(who, sources[who], amounts[who], made) for who in sources]


def one(**changes: Any) -> dict[str, Any]:
    """Aurora's statement of 10,000.00 EUR, with other values in some fields."""
    return period()[0] | changes


def _lines(identity: str, sources: tuple[Source, ...], attributed: int, unattributed: int, of: dict[str, Any]):
    weights = {name: max(Fraction(value), Fraction(0)) for name, value, _, _ in sources}
    whole = sum(weights.values(), Fraction(0))
    paid = allocate(attributed, {name: each / whole for name, each in weights.items()}) if whole else {}
    common = {"pool_id": of["pool_id"], "use_type": "ai_generation", "usage_count": 264, "terms": None}
    for name, value, wide, tokens in sources:
        middle, half = Fraction(value), Fraction(wide)
        yield common | {
            "line_id": f"{identity}:{of['pool_id']}:{name}", "line_type": "source", "source_id": name,
            "title": name, "license": "CC-BY-4.0", "split": "1/1", "tokens": tokens,
            "attribution_signed_nats": value, "value_nats": value,
            "attribution_payable_nats": _decimal(max(middle, Fraction(0))),
            "ci_low_nats": _decimal(middle - half), "ci_high_nats": _decimal(middle + half), "share": "1/3",
            "amount_minor": paid.get(name, 0), "amount": Money(paid.get(name, 0), of["currency"]).text(),
        }  # fmt: skip
    if unattributed:
        yield common | {
            "line_id": f"{identity}:{of['pool_id']}:unattributed", "line_type": "unattributed", "source_id": None,
            "title": None, "license": None, "split": "1/1", "tokens": 0, "attribution_signed_nats": "0",
            "value_nats": "0", "attribution_payable_nats": "0", "ci_low_nats": "0", "ci_high_nats": "0",
            "share": "1/24", "amount_minor": unattributed,
            "amount": Money(unattributed, of["currency"]).text(),
        }  # fmt: skip


def _decimal(value: Fraction) -> str:
    text = f"{value.numerator * 1000 // value.denominator:+05d}"
    return f"{text[:-3]}.{text[-3:]}".lstrip("+").rstrip("0").rstrip(".")
