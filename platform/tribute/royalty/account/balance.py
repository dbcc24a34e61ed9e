"""A publisher's account over a period: opening to closing, in the industry's order, exact to the minor unit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from fractions import Fraction
from typing import Any

from tribute.errors import MoneyError
from tribute.royalty.account.agreement import Agreement
from tribute.royalty.document import Adjustment
from tribute.royalty.exact.calendar import begins_accounting_period, ends_accounting_period, month_number


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
    """Earned in the running accounting period, corrections of its months included."""

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
class Balance:
    """Every line of an account over a period, in order; amounts in minor units, 0 where left out.

    payable_before_tax = opening + earned + adjustments - recouped + shortfall - held + released
    shortfall          = guarantee - accounting_period_earned where that is above 0, if due, else 0
    paid + withheld    = payable_before_tax if due, at least the threshold and above 0, else 0
    closing            = payable_before_tax - paid - withheld
    recouped           = earned + adjustments + min(opening, 0) where that is above 0, at most what is unrecouped
    unrecouped         = unrecouped before + granted - recouped
    """

    opening_balance_minor: int = 0
    royalty_allocated_minor: int = 0
    royalty_rate: Fraction = Fraction(1)
    royalty_earned_minor: int = 0
    adjustments: tuple[Adjustment, ...] = ()
    prior_period_adjustment_minor: int = 0
    accounting_period_earned_minor: int = 0
    """What counts towards the guarantee: earned in the accounting period so far, with its running corrections."""
    advance_granted_minor: int = 0
    advance_recouped_minor: int = 0
    minimum_guarantee_shortfall_minor: int = 0
    reserve_held_minor: int = 0
    reserve_released_minor: int = 0
    payable_before_tax_minor: int = 0
    withholding_tax_rate: Fraction = Fraction(0)
    withholding_tax_minor: int = 0
    amount_paid_minor: int = 0
    carried_forward_minor: int = 0
    closing_balance_minor: int = 0
    unrecouped_advance_minor: int = 0
    closing: Account = field(default_factory=Account)
    """What the next period opens with."""


def balance(
    agreement: Agreement,
    opening: Account,
    period: str,
    allocated_minor: int,
    adjustments: Sequence[Adjustment] = (),
) -> Balance:
    """The account of one month; months follow each other, each opening with the closing of the one before.

    An advance is recouped from what the month brings, less what is overdrawn, and never from what was carried
    forward: a threshold only delays. A reserve is a part of what is earned and left after recoupment, so that
    holding it puts nobody below 0. The guarantee compares what is earned in the whole accounting period. Rates are
    rounded half to even, once each. A balance below 0 is carried forward and never asked back.

    Args:
        allocated_minor: what the pools gave the publisher, before its rate.

    Raises:
        MoneyError: an amount that is not a whole number, or less than nothing allocated.
        ConfigError: `period` is not a month.
    """
    earned = _earned(agreement, allocated_minor, adjustments)
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
    return Balance(
        opening_balance_minor=opening.balance_minor,
        royalty_allocated_minor=allocated_minor,
        royalty_rate=agreement.rate,
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
        withholding_tax_rate=agreement.withholding_rate,
        withholding_tax_minor=withheld,
        amount_paid_minor=settled - withheld,
        carried_forward_minor=payable - settled,
        closing_balance_minor=payable - settled,
        unrecouped_advance_minor=unrecouped,
        closing=Account(payable - settled, unrecouped, reserves, 0 if due else accrued),
    )


def recounted(agreement: Agreement, allocated_minor: int) -> Balance:
    """The balance of a version that restates a closed period: what is allocated and earned, and nothing else.

    It moves no account: what it changes is an adjustment of a later month (`owed`).

    Raises:
        MoneyError: an amount that is not a whole number, or less than nothing allocated.
    """
    return Balance(
        royalty_allocated_minor=allocated_minor,
        royalty_rate=agreement.rate,
        royalty_earned_minor=_earned(agreement, allocated_minor),
        withholding_tax_rate=agreement.withholding_rate,
    )


def balance_json(told: Balance) -> dict[str, Any]:
    """The balance of a statement: integers, rates as exact text, and the closing account under `account`.

    An adjustment has the key `running` only where it is true.
    """
    plain = {each.name: getattr(told, each.name) for each in fields(Balance) if each.name != "closing"}
    for rate in ("royalty_rate", "withholding_tax_rate"):
        plain[rate] = str(plain[rate])
    plain["adjustments"] = [each.plain() for each in told.adjustments]
    return plain | {"account": account_json(told.closing)}


def account_json(account: Account) -> dict[str, Any]:
    """An account as a statement holds it under `balance.account`."""
    plain = {each.name: getattr(account, each.name) for each in fields(Account)}
    return plain | {"reserves": [list(reserve) for reserve in account.reserves]}


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


def _earned_before(agreement: Agreement, opening: Account, period: str, adjustments: Sequence[Adjustment]) -> int:
    """What else counts towards the guarantee: earned in the accounting period before this month, as corrected now.

    Corrections of closed accounting periods are made with their guarantee already (`owed`) and do not count again.
    """
    if begins_accounting_period(period, agreement.accounting_period):
        return 0
    return opening.earned_minor + sum(each.amount_minor for each in adjustments if each.running)


def _released(agreement: Agreement, opening: Account, period: str) -> tuple[int, tuple[tuple[str, int], ...]]:
    """Reserves whose months are over, summed, and those that stay."""
    now = month_number(period)
    over = {month for month, _ in opening.reserves if now - month_number(month) >= agreement.reserve_months}
    kept = tuple(reserve for reserve in opening.reserves if reserve[0] not in over)
    return sum(minor for month, minor in opening.reserves if month in over), kept


def _earned(agreement: Agreement, allocated_minor: int, adjustments: Sequence[Adjustment] = ()) -> int:
    """What is earned of whole amounts: allocated times rate, half to even."""
    for minor in (allocated_minor, *(each.amount_minor for each in adjustments)):
        if not _is_whole(minor):
            raise MoneyError(
                f"{minor!r} of {agreement.publisher_id} is not whole minor units. Settle before balancing"
            )
    if allocated_minor < 0:
        raise MoneyError(
            f"{agreement.publisher_id} is allocated {allocated_minor}, below 0. Give corrections as adjustments"
        )
    return round(agreement.rate * allocated_minor)


def _is_whole(minor: object) -> bool:
    return isinstance(minor, int) and not isinstance(minor, bool)
