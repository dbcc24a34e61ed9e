"""A publisher's account over a period: opening to closing, in the industry's order, exact to the minor unit."""

from collections.abc import Sequence
from typing import Any

from tribute.errors import MoneyError
from tribute.royalty.account.agreement import Agreement
from tribute.royalty.document import AccountBalance, AccountState, Adjustment
from tribute.royalty.exact.calendar import begins_accounting_period, ends_accounting_period, month_number

_NOTHING: dict[str, Any] = {name: 0 for name in AccountBalance.model_fields if name.endswith("_minor")}


def balance(
    agreement: Agreement,
    opening: AccountState,
    period: str,
    allocated_minor: int,
    adjustments: Sequence[Adjustment] = (),
) -> AccountBalance:
    """The account of one month; every month opens with the account of the month before.

    An advance is recouped from what the month brings, less what is overdrawn. It is never recouped from a balance
    that was carried forward, so a threshold only delays. A reserve is held from what is earned and left after
    recoupment, so it makes no debt. The guarantee compares what the whole accounting period earned. Each rate is
    rounded half to even, once. A balance below 0 is carried forward and never asked back.

    Args:
        allocated_minor: what the pools gave the publisher, before its rate.

    Raises:
        MoneyError: `allocated_minor` is not a whole number of at least 0.
        ConfigError: `period` is not a month.
    """
    earned = _earned(agreement, allocated_minor)
    due = ends_accounting_period(period, agreement.accounting_period)
    adjusted = sum(each.amount_minor for each in adjustments)
    granted = sum(minor for month, minor in agreement.advances if month == period)
    brought = earned + adjusted + min(opening.balance_minor, 0)
    recouped = min(max(brought, 0), opening.unrecouped_minor + granted)
    accrued = earned + _earned_before(agreement, opening, period, adjustments)
    shortfall = max(0, agreement.guarantee_minor - accrued) if due else 0
    held = round(agreement.reserve_rate * min(earned, max(brought - recouped, 0)))
    released, kept = _released(agreement, opening, period)
    payable = opening.balance_minor + earned + adjusted - recouped + shortfall - held + released
    settled = payable if due and payable >= max(agreement.threshold_minor, 1) else 0
    withheld = round(agreement.withholding_rate * settled)
    unrecouped = opening.unrecouped_minor + granted - recouped
    reserves = (*kept, (period, held)) if held else kept
    return AccountBalance(
        opening_balance_minor=opening.balance_minor,
        royalty_allocated_minor=allocated_minor,
        royalty_rate=str(agreement.rate),
        royalty_earned_minor=earned,
        adjustments=tuple(adjustments),
        prior_period_adjustment_minor=adjusted,
        accounting_period_earned_minor=accrued,
        advance_granted_minor=granted,
        advance_recouped_minor=recouped,
        minimum_guarantee_shortfall_minor=shortfall,
        reserve_held_minor=held,
        reserve_released_minor=released,
        payable_before_tax_minor=payable,
        withholding_tax_rate=str(agreement.withholding_rate),
        withholding_tax_minor=withheld,
        amount_paid_minor=settled - withheld,
        carried_forward_minor=payable - settled,
        closing_balance_minor=payable - settled,
        unrecouped_advance_minor=unrecouped,
        account=_account(payable - settled, unrecouped, reserves, 0 if due else accrued),
    )


def recounted(agreement: Agreement, allocated_minor: int) -> AccountBalance:
    """The balance of a statement that restates a closed period: what is allocated and earned, and nothing else.

    A restatement moves no account. Its difference is an adjustment of a later month (see `owed`).

    Raises:
        MoneyError: `allocated_minor` is not a whole number of at least 0.
    """
    return AccountBalance(
        **_NOTHING
        | {
            "royalty_allocated_minor": allocated_minor,
            "royalty_rate": str(agreement.rate),
            "royalty_earned_minor": _earned(agreement, allocated_minor),
            "withholding_tax_rate": str(agreement.withholding_rate),
            "adjustments": (),
            "account": AccountState(),
        }
    )


def _account(balance: int, unrecouped: int, reserves: Sequence[tuple[str, int]], earned: int) -> AccountState:
    return AccountState(
        balance_minor=balance, unrecouped_minor=unrecouped, reserves=tuple(reserves), earned_minor=earned
    )


def _earned_before(
    agreement: Agreement, opening: AccountState, period: str, adjustments: Sequence[Adjustment]
) -> int:
    """Earlier earnings of the accounting period that count towards its guarantee, with their corrections.

    Corrections of closed accounting periods already include their guarantee (see `owed`) and do not count.
    """
    if begins_accounting_period(period, agreement.accounting_period):
        return 0
    return opening.earned_minor + sum(each.amount_minor for each in adjustments if each.running)


def _released(agreement: Agreement, opening: AccountState, period: str) -> tuple[int, tuple[tuple[str, int], ...]]:
    """Reserves whose months are over, summed, and those that stay."""
    now = month_number(period)
    over = {month for month, _ in opening.reserves if now - month_number(month) >= agreement.reserve_months}
    kept = tuple(reserve for reserve in opening.reserves if reserve[0] not in over)
    return sum(minor for month, minor in opening.reserves if month in over), kept


def _earned(agreement: Agreement, allocated_minor: int) -> int:
    """Allocated times rate, half to even."""
    if type(allocated_minor) is not int or allocated_minor < 0:
        raise MoneyError(
            f"{agreement.publisher_id} is allocated {allocated_minor!r}. Allocate whole minor units of at least 0 "
            "and pass corrections as adjustments"
        )
    return round(agreement.rate * allocated_minor)
