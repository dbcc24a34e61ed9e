"""A publisher's account as rows to read, and why what is paid is not what was allocated."""

from typing import NamedTuple

from tribute.royalty.document import Adjustment, Statement
from tribute.royalty.exact.calendar import ends_accounting_period
from tribute.royalty.exact.text import one_line
from tribute.royalty.render.wording import money, rate, restated


class AccountRow(NamedTuple):
    """One row: `kind` is `sum` for what adds up, `aside` for what does not, `result` for what comes out."""

    label: str
    amount: str
    kind: str = "sum"


def account_rows(s: Statement) -> list[AccountRow]:
    """The balance in the industry's order: opening, payment and closing always, other rows where not zero.

    A restating statement moves no account: its rows are what is earned, and that nothing is paid.
    """
    if restated(s):
        return [*_earned(s), AccountRow("Paid by this statement", money(0, s.currency), "result")]
    b, currency = s.balance, s.currency
    rows = [
        AccountRow("Opening balance, from the period before", money(b.opening_balance_minor, currency)),
        *_earned(s),
        *_moved(s),
    ]
    if b.payable_before_tax_minor != b.amount_paid_minor:
        due = money(b.payable_before_tax_minor, currency)
        rows.append(AccountRow("Balance before tax and payment", due, "result"))
    if b.withholding_tax_minor:
        tax = f"Withholding tax, {rate(b.withholding_tax_rate)}"
        rows.append(AccountRow(tax, money(-b.withholding_tax_minor, currency)))
    rows.append(AccountRow("Paid to you", money(b.amount_paid_minor, currency), "result"))
    closing = "Closing balance, carried forward" if b.carried_forward_minor else "Closing balance"
    rows.append(AccountRow(closing, money(b.closing_balance_minor, currency), "result"))
    return [*rows, *_kept(s)]


def _earned(s: Statement) -> list[AccountRow]:
    b, currency = s.balance, s.currency
    allocated, earned = b.royalty_allocated_minor, b.royalty_earned_minor
    rows = []
    if allocated != earned:
        rows.append(AccountRow("Allocated to your sources", money(allocated, currency), "aside"))
        label = f"Earned, {rate(b.royalty_rate)} of what is allocated"
    else:
        label = "Earned by your sources"
    return [*rows, AccountRow(label, money(earned, currency))] if earned else rows


def _moved(s: Statement) -> list[AccountRow]:
    b = s.balance
    rows = [(_correction(each), each.amount_minor, "sum") for each in b.adjustments]
    rows += [
        ("Advance granted (paid to you apart)", b.advance_granted_minor, "aside"),
        ("Advance repaid from what you earned", -b.advance_recouped_minor, "sum"),
        ("Added to reach your guaranteed minimum", b.minimum_guarantee_shortfall_minor, "sum"),
        ("Held in reserve", -b.reserve_held_minor, "sum"),
        ("Released from reserve", b.reserve_released_minor, "sum"),
    ]
    return [AccountRow(label, money(minor, s.currency), kind) for label, minor, kind in rows if minor]


def _correction(adjustment: Adjustment) -> str:
    of = f" (statement {adjustment.adjusts_statement_id})" if adjustment.adjusts_statement_id else ""
    return f"Correction of an earlier period: {one_line(adjustment.reason)}{of}"


def _kept(s: Statement) -> list[AccountRow]:
    b = s.balance
    rows = [
        ("Advance still to be repaid from earnings", b.unrecouped_advance_minor),
        ("Reserve held for you in all", sum(minor for _, minor in b.account.reserves)),
    ]
    return [AccountRow(label, money(minor, s.currency), "aside") for label, minor in rows if minor]


def why_paid_differs(s: Statement) -> str:
    """One sentence from the allocated to the paid amount; empty where they are the same and nothing moved.

    A restated statement pays nothing, as `notices` says.
    """
    b = s.balance
    reasons = [] if restated(s) else _reasons(s)
    if not reasons:
        return ""
    allocated, paid = b.royalty_allocated_minor, b.amount_paid_minor
    amount = money(allocated, s.currency)
    if paid == allocated and paid:
        opening = f"What is paid equals the {amount} allocated, although"
    elif paid or not allocated:
        opening = f"What is paid is not the {amount} allocated, because" if paid else "Nothing is paid, because"
    else:
        opening = f"Nothing of the {amount} allocated is paid, because"
    *most, last = reasons
    commas = "," if len(most) > 1 else ""
    return f"{opening} {', '.join(most)}{commas} and {last}." if most else f"{opening} {last}."


def _reasons(s: Statement) -> list[str]:
    b, currency = s.balance, s.currency
    opening, correction = b.opening_balance_minor, b.prior_period_adjustment_minor
    clauses = [
        (opening, "{} is brought forward from before" if opening > 0 else "{} of earlier periods is taken off"),
        (correction, f"a correction of an earlier period {'adds' if correction > 0 else 'takes off'} {{}}"),
        (b.advance_recouped_minor, "{} repays your advance"),
        (b.minimum_guarantee_shortfall_minor, "{} is added to reach your guaranteed minimum"),
        (b.reserve_held_minor, "{} is held in reserve"),
        (b.reserve_released_minor, "{} is released from reserve"),
        (b.withholding_tax_minor, "{} of tax is withheld"),
    ]
    reasons = [text.format(money(abs(minor), currency)) for minor, text in clauses if minor]
    if b.royalty_allocated_minor != b.royalty_earned_minor:
        earned = money(b.royalty_earned_minor, currency)
        reasons.insert(0, f"your agreement pays {rate(b.royalty_rate)} of it ({earned})")
    return [*reasons, *_carried(s)]


def _carried(s: Statement) -> list[str]:
    """Why a balance stays in the account."""
    b, terms = s.balance, s.agreement
    due = b.payable_before_tax_minor
    if not b.carried_forward_minor:
        return []
    amount = money(due, s.currency)
    if due < 0:
        return [f"the balance of {amount} is below zero: it is carried forward and you are never asked to pay it"]
    if not ends_accounting_period(s.period, terms.accounting_period):
        return [f"your agreement pays at the end of each {terms.accounting_period}, until then {amount} is kept"]
    threshold = money(terms.threshold_minor, s.currency)
    return [f"{amount} is below your minimum payout of {threshold} and is carried forward"]
