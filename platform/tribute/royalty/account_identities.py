"""The identities of a publisher's account, from opening to closing balance; README, "Agreement and balance"."""

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

from tribute.royalty.identities import differs
from tribute.royalty.shapes import within
from tribute.royalty.strict_json import Problem

_NEVER_NEGATIVE = (
    "royalty_allocated_minor", "advance_granted_minor", "advance_recouped_minor",
    "minimum_guarantee_shortfall_minor", "reserve_held_minor", "reserve_released_minor",
    "withholding_tax_minor", "amount_paid_minor", "unrecouped_advance_minor",
)  # fmt: skip


def account_problems(statement: Mapping[str, Any], place: str = "") -> Iterator[Problem]:
    """Where the balance of a statement does not follow from itself, from the lines and from the agreement.

    Args:
        place: path of the statement, such as `statements[2]`; a statement by itself has none.
    """
    balance, at = statement["balance"], within(place, "balance")
    for name in _NEVER_NEGATIVE:
        if balance[name] < 0:
            yield Problem(f"{at}.{name}", f"is {balance[name]}, below 0")
    for name, expected, why in _equalities(statement, balance):
        yield from differs(f"{at}.{name}", _value(balance, name), expected, why)
    for name, rate in (("royalty_rate", "rate"), ("withholding_tax_rate", "withholding_rate")):
        if Fraction(balance[name]) != Fraction(statement["agreement"][rate]):
            text = f"is {balance[name]}, in the agreement {statement['agreement'][rate]}"
            yield Problem(f"{at}.{name}", text)
    yield from _payment(statement, balance, at)
    yield from _recoupment(balance, at)


def _equalities(statement: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[tuple[str, int, str]]:
    yield "royalty_allocated_minor", statement["amount_minor"], "the amount of the statement"
    earned = round(b["royalty_allocated_minor"] * Fraction(b["royalty_rate"]))
    yield "royalty_earned_minor", earned, "allocated times rate, half to even"
    adjusted = sum(each["amount_minor"] for each in b["adjustments"])
    yield "prior_period_adjustment_minor", adjusted, "the sum of the adjustments"
    payable = (
        b["opening_balance_minor"] + b["royalty_earned_minor"] + b["prior_period_adjustment_minor"]
        - b["advance_recouped_minor"] + b["minimum_guarantee_shortfall_minor"]
        - b["reserve_held_minor"] + b["reserve_released_minor"]
    )  # fmt: skip
    yield (
        "payable_before_tax_minor",
        payable,
        "opening + earned + adjustments - recouped + shortfall - held + released",
    )
    closing = b["payable_before_tax_minor"] - b["withholding_tax_minor"] - b["amount_paid_minor"]
    yield "closing_balance_minor", closing, "payable less tax and payment"
    yield "carried_forward_minor", closing, "the closing balance"
    yield "account.balance_minor", closing, "the closing balance"
    yield "account.unrecouped_minor", b["unrecouped_advance_minor"], "the unrecouped advance"


def _value(balance: Mapping[str, Any], path: str) -> Any:
    outer, _, inner = path.partition(".")
    return balance[outer][inner] if inner else balance[outer]


def _payment(statement: Mapping[str, Any], b: Mapping[str, Any], at: str) -> Iterator[Problem]:
    payable, gone = b["payable_before_tax_minor"], b["amount_paid_minor"] + b["withholding_tax_minor"]
    if not gone:
        return
    if gone != payable:
        yield Problem(f"{at}.amount_paid_minor", f"with tax is {gone}: neither nothing nor all of {payable}")
    if payable < statement["agreement"]["threshold_minor"]:
        text = f"is {b['amount_paid_minor']} though {payable} is below the threshold of the agreement"
        yield Problem(f"{at}.amount_paid_minor", text)
    tax = round(payable * Fraction(b["withholding_tax_rate"]))
    why = "payable times rate, half to even"
    yield from differs(f"{at}.withholding_tax_minor", b["withholding_tax_minor"], tax, why)


def _recoupment(b: Mapping[str, Any], at: str) -> Iterator[Problem]:
    most = b["opening_balance_minor"] + b["royalty_earned_minor"] + b["prior_period_adjustment_minor"]
    if b["advance_recouped_minor"] > max(0, most):
        text = f"is {b['advance_recouped_minor']}, more than the {most} that there was to recoup from"
        yield Problem(f"{at}.advance_recouped_minor", text)
    before = b["unrecouped_advance_minor"] - b["advance_granted_minor"] + b["advance_recouped_minor"]
    if before < 0:
        text = f"is {b['unrecouped_advance_minor']}: that leaves {before} unrecouped from before, below 0"
        yield Problem(f"{at}.unrecouped_advance_minor", text)
