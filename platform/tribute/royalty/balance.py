"""A publisher's account over a period: opening to closing, in the industry's order, exact to the minor unit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from fractions import Fraction
from typing import Any

from tribute.errors import MoneyError
from tribute.royalty.accounting import ends_accounting_period, month_number
from tribute.royalty.agreement import Agreement


@dataclass(frozen=True)
class Account:
    """What is left from the period before, in minor units.

    Raises:
        MoneyError: an amount that is no whole number, or one below 0 where that cannot be.
    """

    balance_minor: int = 0
    """Owed to the publisher; below 0: it was paid too much."""
    unrecouped_minor: int = 0
    """Advances that earnings have not covered yet."""
    reserves: tuple[tuple[str, int], ...] = ()
    """(period held, minor), the oldest first."""
    earned_minor: int = 0
    """Earned in the running accounting period."""

    def __post_init__(self) -> None:
        owed = [self.unrecouped_minor, self.earned_minor, *(minor for _, minor in self.reserves)]
        whole = all(_is_whole(minor) for minor in (self.balance_minor, *owed))
        if not whole or min(owed) < 0:
            raise MoneyError(
                f"{self} is not an account: whole minor units, and only the balance may be below 0. "
                "Take it from the statement of the period before"
            )
        for period, _ in self.reserves:
            month_number(period)


@dataclass(frozen=True)
class Adjustment:
    """A correction of what an earlier statement said was earned, in minor units, with its reason."""

    reason: str
    adjusts_statement_id: str
    amount_minor: int


@dataclass(frozen=True)
class Balance:
    """Every line of an account over a period, in order; amounts in minor units.

    payable_before_tax = opening + earned + adjustments - recouped + shortfall - held + released
    paid + withheld    = payable_before_tax if due, at least the threshold and above 0, else 0
    closing            = payable_before_tax - paid - withheld
    unrecouped         = unrecouped before + granted - recouped
    """

    opening_balance_minor: int
    royalty_allocated_minor: int
    royalty_rate: Fraction
    royalty_earned_minor: int
    adjustments: tuple[Adjustment, ...]
    prior_period_adjustment_minor: int
    advance_granted_minor: int
    advance_recouped_minor: int
    minimum_guarantee_shortfall_minor: int
    reserve_held_minor: int
    reserve_released_minor: int
    payable_before_tax_minor: int
    withholding_tax_rate: Fraction
    withholding_tax_minor: int
    amount_paid_minor: int
    carried_forward_minor: int
    closing_balance_minor: int
    unrecouped_advance_minor: int
    closing: Account
    """What the next period opens with."""


def balance(
    agreement: Agreement,
    opening: Account,
    period: str,
    allocated_minor: int,
    adjustments: Sequence[Adjustment] = (),
) -> Balance:
    """The account of one month; months follow each other, each opening with the closing of the one before.

    A reserve is a part of what is earned and left after recoupment, so that holding it puts nobody below 0. The
    guarantee compares what is earned in the whole accounting period, without adjustments. Rates are rounded half
    to even, once each. A balance below 0 is carried forward and never asked back.

    Args:
        allocated_minor: what the pools gave the publisher, before its rate.

    Raises:
        MoneyError: an amount that is not a whole number, or less than nothing allocated.
        ConfigError: `period` is not a month.
    """
    _check(agreement, allocated_minor, adjustments)
    due = ends_accounting_period(period, agreement.accounting_period)
    earned = round(agreement.rate * allocated_minor)
    adjusted = sum(each.amount_minor for each in adjustments)
    granted = sum(minor for month, minor in agreement.advances if month == period)
    credit = opening.balance_minor + earned + adjusted
    recouped = min(max(credit, 0), opening.unrecouped_minor + granted)
    accrued = opening.earned_minor + earned
    shortfall = max(0, agreement.guarantee_minor - accrued) if due else 0
    held = round(agreement.reserve_rate * min(earned, max(credit - recouped, 0)))
    released, kept = _released(agreement, opening, period)
    payable = credit - recouped + shortfall - held + released
    settled = payable if due and payable >= max(agreement.threshold_minor, 1) else 0
    withheld = round(agreement.withholding_rate * settled)
    unrecouped = opening.unrecouped_minor + granted - recouped
    reserves = (*kept, (period, held)) if held else kept
    return Balance(
        opening_balance_minor=opening.balance_minor,
        royalty_allocated_minor=allocated_minor,
        royalty_rate=agreement.rate,
        royalty_earned_minor=earned,
        adjustments=tuple(adjustments),
        prior_period_adjustment_minor=adjusted,
        advance_granted_minor=granted,
        advance_recouped_minor=recouped,
        minimum_guarantee_shortfall_minor=shortfall,
        reserve_held_minor=held,
        reserve_released_minor=released,
        payable_before_tax_minor=payable,
        withholding_tax_rate=agreement.withholding_rate,
        withholding_tax_minor=withheld,
        amount_paid_minor=settled - withheld,
        carried_forward_minor=payable - settled,
        closing_balance_minor=payable - settled,
        unrecouped_advance_minor=unrecouped,
        closing=Account(payable - settled, unrecouped, reserves, 0 if due else accrued),
    )


def balance_json(told: Balance) -> dict[str, Any]:
    """The balance of a statement: integers, rates as exact text, and the closing account under `account`."""
    plain = {each.name: getattr(told, each.name) for each in fields(Balance) if each.name != "closing"}
    for rate in ("royalty_rate", "withholding_tax_rate"):
        plain[rate] = str(plain[rate])
    plain["adjustments"] = [
        {
            "reason": each.reason,
            "adjusts_statement_id": each.adjusts_statement_id,
            "amount_minor": each.amount_minor,
        }
        for each in told.adjustments
    ]
    account = {each.name: getattr(told.closing, each.name) for each in fields(Account)}
    return plain | {"account": account | {"reserves": [list(reserve) for reserve in told.closing.reserves]}}


def account_from_json(account: Mapping[str, Any]) -> Account:
    """The account that `balance_json` wrote under `account`: the opening of the next period.

    Raises:
        MoneyError: a field is missing, unknown, or no whole number.
    """
    expected = sorted(each.name for each in fields(Account))
    if sorted(account) != expected:
        raise MoneyError(
            f"An account holds {', '.join(expected)}, got {', '.join(sorted(account))}. Take it from a statement "
            "of schema tribute.statement/2"
        )
    return Account(**{**account, "reserves": tuple((period, minor) for period, minor in account["reserves"])})


def _released(agreement: Agreement, opening: Account, period: str) -> tuple[int, tuple[tuple[str, int], ...]]:
    """Reserves whose months are over, summed, and those that stay."""
    now = month_number(period)
    over = {month for month, _ in opening.reserves if now - month_number(month) >= agreement.reserve_months}
    kept = tuple(reserve for reserve in opening.reserves if reserve[0] not in over)
    return sum(minor for month, minor in opening.reserves if month in over), kept


def _check(agreement: Agreement, allocated_minor: int, adjustments: Sequence[Adjustment]) -> None:
    for minor in (allocated_minor, *(each.amount_minor for each in adjustments)):
        if not _is_whole(minor):
            raise MoneyError(
                f"{minor!r} of {agreement.publisher_id} is not whole minor units. Settle before balancing"
            )
    if allocated_minor < 0:
        raise MoneyError(
            f"{agreement.publisher_id} is allocated {allocated_minor}, below 0. Give corrections as adjustments"
        )


def _is_whole(minor: object) -> bool:
    return isinstance(minor, int) and not isinstance(minor, bool)
