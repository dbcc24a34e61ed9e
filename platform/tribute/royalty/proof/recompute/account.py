"""The identities of a publisher's account, from opening to closing balance; README, "Agreement and balance"."""

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

from tribute.royalty.account.agreement import Agreement
from tribute.royalty.account.balance import balance_json, recounted
from tribute.royalty.exact.calendar import begins_accounting_period, ends_accounting_period, month_number
from tribute.royalty.proof.recompute.statement import differs
from tribute.royalty.proof.shapes import within
from tribute.royalty.proof.strict_json import Problem

_NEVER_NEGATIVE = (
    "royalty_allocated_minor", "advance_granted_minor", "advance_recouped_minor",
    "minimum_guarantee_shortfall_minor", "reserve_held_minor", "reserve_released_minor",
    "withholding_tax_minor", "amount_paid_minor", "unrecouped_advance_minor",
)  # fmt: skip

_TOLD = ("royalty_allocated_minor", "royalty_earned_minor", "royalty_rate", "withholding_tax_rate")
_UNMOVED = {
    name: value for name, value in balance_json(recounted(Agreement("", "EUR"), 0)).items() if name not in _TOLD
}
"""What a balance holds beside these in a version that restates a closed period."""


def account_problems(statement: Mapping[str, Any], place: str = "") -> Iterator[Problem]:
    """Where the balance of a statement does not follow from itself, from the lines and from the agreement.

    Args:
        place: path of the statement, such as `statements[2]`; a statement by itself has none.
    """
    balance, at = statement["balance"], within(place, "balance")
    yield from _version(statement, place)
    yield from _terms(statement, balance, at)
    if statement["restates_statement_version"] is not None:
        yield from _unmoved(balance, at)
        return
    for name in _NEVER_NEGATIVE:
        if balance[name] < 0:
            yield Problem(f"{at}.{name}", f"is {balance[name]}, below 0")
    for name, expected, why in _equalities(balance):
        yield from differs(f"{at}.{name}", _value(balance, name), expected, why)
    yield from _accounting_period(statement, balance, at)
    yield from _reserves(statement, balance, at)
    yield from _payment(statement, balance, at)
    yield from _recoupment(balance, at)


def _version(statement: Mapping[str, Any], place: str) -> Iterator[Problem]:
    """A version restates the one before it, or none; only one that restates replaces a statement."""
    restates, before = statement["restates_statement_version"], statement["statement_version"] - 1
    if restates is not None:
        at = within(place, "restates_statement_version")
        yield from differs(at, restates, before, "the version before this one")
        yield from differs(
            within(place, "status"), statement["status"], "final", "only a closed period is restated"
        )
    elif statement["supersedes_statement_id"] is not None:
        at, found = within(place, "supersedes_statement_id"), statement["supersedes_statement_id"]
        yield from differs(at, found, None, "this version restates none")


def _terms(statement: Mapping[str, Any], b: Mapping[str, Any], at: str) -> Iterator[Problem]:
    """What is allocated and earned, and the rates."""
    allocated, name = b["royalty_allocated_minor"], "royalty_allocated_minor"
    yield from differs(f"{at}.{name}", allocated, statement["amount_minor"], "the amount of the statement")
    earned = round(allocated * Fraction(b["royalty_rate"]))
    name = "royalty_earned_minor"
    yield from differs(f"{at}.{name}", b[name], earned, "allocated times rate, half to even")
    for name, rate in (("royalty_rate", "rate"), ("withholding_tax_rate", "withholding_rate")):
        if Fraction(b[name]) != Fraction(statement["agreement"][rate]):
            text = f"is {b[name]}, in the agreement {statement['agreement'][rate]}"
            yield Problem(f"{at}.{name}", text)


def _unmoved(b: Mapping[str, Any], at: str) -> Iterator[Problem]:
    """A restated balance tells what is allocated and earned, and moves nothing."""
    for name, unmoved in _UNMOVED.items():
        yield from differs(
            f"{at}.{name}", b[name], unmoved, "this version restates a closed period, and moves none"
        )


def _equalities(b: Mapping[str, Any]) -> Iterator[tuple[str, int, str]]:
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


def _accounting_period(statement: Mapping[str, Any], b: Mapping[str, Any], at: str) -> Iterator[Problem]:
    """What counts towards the guarantee, the shortfall, and what the next month opens with."""
    terms, kind = statement["agreement"], statement["agreement"]["accounting_period"]
    earned, place = b["accounting_period_earned_minor"], f"{at}.accounting_period_earned_minor"
    if begins_accounting_period(statement["period"], kind):
        yield from differs(place, earned, b["royalty_earned_minor"], f"what is earned, as the {kind} begins")
    else:
        running = sum(each["amount_minor"] for each in b["adjustments"] if each.get("running"))
        before = earned - b["royalty_earned_minor"] - running
        if before < 0:
            yield Problem(place, f"is {earned}: that leaves {before} from the months before, below 0")
    ends = ends_accounting_period(statement["period"], kind)
    shortfall = max(0, terms["guarantee_minor"] - earned) if ends else 0
    why = f"guarantee less {earned} earned, as the {kind} ends" if ends else f"topped up as the {kind} ends"
    name = "minimum_guarantee_shortfall_minor"
    yield from differs(f"{at}.{name}", b[name], shortfall, why)
    kept, why = (0, f"the {kind} ends") if ends else (earned, "earned in the accounting period so far")
    yield from differs(f"{at}.account.earned_minor", b["account"]["earned_minor"], kept, why)


def _reserves(statement: Mapping[str, Any], b: Mapping[str, Any], at: str) -> Iterator[Problem]:
    """What is held of the month, and that every reserve kept is held, in order, and not due for release."""
    terms = statement["agreement"]
    left = max(_brought(b) - b["advance_recouped_minor"], 0)
    held = round(Fraction(terms["reserve_rate"]) * min(b["royalty_earned_minor"], left))
    why = "rate times what is earned and left after recoupment, half to even"
    yield from differs(f"{at}.reserve_held_minor", b["reserve_held_minor"], held, why)
    now, before, own = month_number(statement["period"]), -1, 0
    for index, (period, minor) in enumerate(b["account"]["reserves"]):
        place, month = f"{at}.account.reserves[{index}]", month_number(period)
        if minor <= 0 or not before < month <= now:
            yield Problem(place, f"is {minor} of {period}: amounts above 0 of months up to this one, in order")
        elif month < now and now - month >= terms["reserve_months"]:
            yield Problem(place, f"of {period} was to be released after {terms['reserve_months']} months")
        before, own = month, minor if month == now else own
    yield from differs(f"{at}.account.reserves", own, b["reserve_held_minor"], "of this month: what is held of it")


def _payment(statement: Mapping[str, Any], b: Mapping[str, Any], at: str) -> Iterator[Problem]:
    """All that is payable is paid, less tax, when it is due and reaches the threshold; else nothing."""
    terms, payable = statement["agreement"], b["payable_before_tax_minor"]
    ends = ends_accounting_period(statement["period"], terms["accounting_period"])
    due = ends and payable >= max(terms["threshold_minor"], 1)
    tax = round(payable * Fraction(b["withholding_tax_rate"])) if due else 0
    why = (
        "payable is due: the accounting period ends and the threshold is reached"
        if due
        else "nothing is due: the accounting period runs on, or payable is below the threshold or below 1"
    )
    place = f"{at}.withholding_tax_minor"
    yield from differs(place, b["withholding_tax_minor"], tax, f"{why}; tax is payable times rate, half to even")
    paid = payable - b["withholding_tax_minor"] if due else 0
    yield from differs(f"{at}.amount_paid_minor", b["amount_paid_minor"], paid, f"{why}; paid is the rest")


def _brought(b: Mapping[str, Any]) -> int:
    """What an advance is recouped from, if it is above 0: what the month brings, less what was overdrawn."""
    return int(b["royalty_earned_minor"] + b["prior_period_adjustment_minor"] + min(b["opening_balance_minor"], 0))


def _recoupment(b: Mapping[str, Any], at: str) -> Iterator[Problem]:
    most = _brought(b)
    if b["advance_recouped_minor"] > max(0, most):
        text = f"is {b['advance_recouped_minor']}, more than the {most} that there was to recoup from"
        yield Problem(f"{at}.advance_recouped_minor", text)
    elif b["unrecouped_advance_minor"] > 0 and b["advance_recouped_minor"] < most:
        text = f"is {b['advance_recouped_minor']} of {most}, and an advance is still unrecouped"
        yield Problem(f"{at}.advance_recouped_minor", text)
    before = b["unrecouped_advance_minor"] - b["advance_granted_minor"] + b["advance_recouped_minor"]
    if before < 0:
        text = f"is {b['unrecouped_advance_minor']}: that leaves {before} unrecouped from before, below 0"
        yield Problem(f"{at}.unrecouped_advance_minor", text)
