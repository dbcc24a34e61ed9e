"""A publisher's account on a statement: the terms that apply, every step of the balance, and what is left."""

from typing import Annotated, Literal

from pydantic import Field

from tribute.royalty.document.kinds import Count, ExactModel, Minor, Month, Ratio, Rows

AccountingPeriod = Literal["month", "quarter", "year"]


class AgreementTerms(ExactModel):
    """The terms of the publisher's agreement."""

    agreement_id: str
    rate: Ratio
    """Part of the allocated amount that the publisher earns."""
    guarantee_minor: Count
    """Minimum earnings of an accounting period."""
    threshold_minor: Count
    """A smaller balance is carried forward."""
    reserve_rate: Ratio
    reserve_months: Count
    withholding_rate: Ratio
    accounting_period: AccountingPeriod
    """The balance is paid at the end of this calendar period."""


class Adjustment(ExactModel):
    """A correction of what an earlier period credited, with its reason."""

    reason: str
    adjusts_statement_id: str
    amount_minor: Minor
    running: Annotated[bool, Field(exclude_if=lambda running: not running)] = False
    """True if it corrects a month of the current accounting period and so counts towards its guarantee.
    Absent otherwise."""


class AccountState(ExactModel):
    """What the next period opens with."""

    balance_minor: Minor = 0
    """Owed to the publisher; below 0 after an overpayment."""
    unrecouped_minor: Count = 0
    """Advances that earnings have not covered yet."""
    reserves: Rows[Annotated[tuple[Month, Count], Field(strict=False)]] = ()
    """Month and amount of every reserve held, the oldest first."""
    earned_minor: Count = 0
    """Earned in the current accounting period, including corrections of its months."""


class AccountBalance(ExactModel):
    """Every step of the account over a period, in order. Amounts are in minor units.

    payable_before_tax = opening + earned + adjustments - recouped + shortfall - held + released
    shortfall          = guarantee - accounting_period_earned where that is above 0, if due, else 0
    paid + withheld    = payable_before_tax if due, at least the threshold and above 0, else 0
    closing            = payable_before_tax - paid - withheld
    recouped           = earned + adjustments + min(opening, 0) where that is above 0, at most what is unrecouped
    unrecouped         = unrecouped before + granted - recouped
    """

    opening_balance_minor: Minor
    royalty_allocated_minor: Minor
    royalty_rate: Ratio
    royalty_earned_minor: Minor
    adjustments: Rows[Adjustment]
    prior_period_adjustment_minor: Minor
    accounting_period_earned_minor: Minor
    """Counts towards the guarantee: earned in the accounting period so far, including its running corrections."""
    advance_granted_minor: Minor
    advance_recouped_minor: Minor
    minimum_guarantee_shortfall_minor: Minor
    reserve_held_minor: Minor
    reserve_released_minor: Minor
    payable_before_tax_minor: Minor
    withholding_tax_rate: Ratio
    withholding_tax_minor: Minor
    amount_paid_minor: Minor
    carried_forward_minor: Minor
    closing_balance_minor: Minor
    unrecouped_advance_minor: Minor
    account: AccountState
