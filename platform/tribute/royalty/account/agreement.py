"""A publisher's terms: what part it earns, what is advanced, guaranteed, kept back and taxed, when it is paid."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction

from tribute.errors import MoneyError
from tribute.royalty.document import AccountingPeriod, AgreementTerms
from tribute.royalty.exact.calendar import MONTHS_OF, month_number, period_days
from tribute.royalty.exact.money import currency_exponent

_RATES = ("rate", "reserve_rate", "withholding_rate")
_AMOUNTS = ("guarantee_minor", "threshold_minor")


@dataclass(frozen=True)
class Agreement:
    """Terms with a publisher in one currency; amounts in its minor units. The defaults pay all, every month.

    Raises:
        MoneyError: an unknown currency, an inexact or impossible rate or amount; names the field.
    """

    publisher_id: str
    currency: str
    agreement_id: str = "standard"
    rate: Fraction = Fraction(1)
    """Part of what is allocated to the publisher that it earns."""
    advances: tuple[tuple[str, int], ...] = ()
    """(period granted, minor): recouped from what is earned."""
    guarantee_minor: int = 0
    """Least that a whole accounting period earns; the shortfall is topped up at its end."""
    threshold_minor: int = 0
    """Less than this is carried forward."""
    reserve_rate: Fraction = Fraction(0)
    reserve_months: int = 0
    withholding_rate: Fraction = Fraction(0)
    accounting_period: AccountingPeriod = "month"
    """month, quarter or year of the calendar: paid at its end."""
    valid_from: date | None = None
    valid_to: date | None = None
    """First day without the agreement; both are first days of a month, None is unbounded."""

    def __post_init__(self) -> None:
        currency_exponent(self.currency)
        for name in _RATES:
            rate = getattr(self, name)
            if not isinstance(rate, Fraction) or not 0 <= rate <= 1:
                raise self._wrong(name, rate, "an exact part from 0 to 1, such as Fraction(3, 20)")
        for name in (*_AMOUNTS, "reserve_months"):
            if not _is_count(getattr(self, name)):
                raise self._wrong(name, getattr(self, name), "a whole number of at least 0")
        for period, minor in self.advances:
            month_number(period)
            if not _is_count(minor):
                raise self._wrong(f"advance of {period}", minor, "whole minor units of at least 0")
        if self.accounting_period not in MONTHS_OF:
            raise self._wrong("accounting_period", self.accounting_period, f"one of {', '.join(MONTHS_OF)}")
        if self.reserve_rate and not self.reserve_months:
            raise self._wrong("reserve_months", 0, "the months after which a reserve is released, such as 6")
        for name in ("valid_from", "valid_to"):
            day = getattr(self, name)
            if day is not None and day.day != 1:
                raise self._wrong(name, day, f"the first day of a month, such as {day.replace(day=1)}")
        if self.valid_from and self.valid_to and self.valid_to <= self.valid_from:
            raise self._wrong("valid_to", self.valid_to, f"a month after valid_from {self.valid_from}")

    def holds(self, period: str) -> bool:
        """Whether the agreement is in force in a month."""
        first = date.fromisoformat(period_days(period)[0])
        begun = self.valid_from is None or self.valid_from <= first
        return begun and (self.valid_to is None or first < self.valid_to)

    def terms(self) -> AgreementTerms:
        """The terms as a statement shows them."""
        return AgreementTerms(
            agreement_id=self.agreement_id,
            rate=str(self.rate),
            guarantee_minor=self.guarantee_minor,
            threshold_minor=self.threshold_minor,
            reserve_rate=str(self.reserve_rate),
            reserve_months=self.reserve_months,
            withholding_rate=str(self.withholding_rate),
            accounting_period=self.accounting_period,
        )

    def _wrong(self, name: str, got: object, expected: str) -> MoneyError:
        return MoneyError(
            f"Agreement {self.agreement_id} of {self.publisher_id}: {name} is {got}. It must be {expected}"
        )


def agreement_of(agreements: Sequence[Agreement], publisher_id: str, currency: str, period: str) -> Agreement:
    """The terms of a publisher in a month and currency; the default terms if nothing is agreed.

    Raises:
        MoneyError: two agreements are in force; names them.
    """
    found = [
        each
        for each in agreements
        if (each.publisher_id, each.currency) == (publisher_id, currency) and each.holds(period)
    ]
    if len(found) > 1:
        names = " and ".join(sorted(each.agreement_id for each in found))
        raise MoneyError(
            f"{publisher_id} has {len(found)} agreements in {currency} in {period}: {names}. End one with valid_to"
        )
    return found[0] if found else Agreement(publisher_id, currency)


def _is_count(number: object) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and number >= 0
