"""Findings for the payer to review before closing a period: concentration, sudden jumps, flooding."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from fractions import Fraction

from tribute.errors import MoneyError
from tribute.royalty.exact.findings import Finding
from tribute.royalty.exact.text import percent


@dataclass(frozen=True)
class AlarmLimits:
    """Above which figure a finding is made; parts of 1 or ratios, exact.

    Raises:
        MoneyError: a limit that is inexact or below 0.
    """

    concentration: Fraction = Fraction(1, 4)
    """Of the Herfindahl index, 0 where all shares are equal and 1 where one publisher has everything."""
    top_share: Fraction = Fraction(1, 2)
    jump: Fraction = Fraction(1, 20)
    """Smallest reported change of a share, as a part of the pool."""
    jump_ratio: Fraction = Fraction(1, 2)
    """Smallest reported change of a share, as a part of the previous share."""
    customer_part: Fraction = Fraction(1, 4)
    """Of the period's uses."""
    customer_ratio: Fraction = Fraction(3, 2)
    """Times the part that each customer would have if all had the same: customers that are alike never flood."""

    def __post_init__(self) -> None:
        for each in fields(self):
            limit = getattr(self, each.name)
            if not isinstance(limit, Fraction) or limit < 0:
                raise MoneyError(f"alarms.{each.name} is {limit!r}. Use an exact part, such as Fraction(1, 4)")
            if limit > 1 and not each.name.endswith("_ratio"):
                raise MoneyError(
                    f"alarms.{each.name} is {limit}, which nothing exceeds: it is a part of 1. Write 1/2 for 50 %"
                )


DEFAULT_LIMITS = AlarmLimits()


def alarms(
    shares: Mapping[str, Fraction],
    shares_before: Mapping[str, Fraction] | None = None,
    uses_by_customer: Mapping[str, int] | None = None,
    limits: AlarmLimits = DEFAULT_LIMITS,
) -> list[Finding]:
    """All findings of a period. Inputs that are not given are not checked."""
    found = concentration(shares, limits)
    found += [] if shares_before is None else jumps(shares_before, shares, limits)
    return found + ([] if uses_by_customer is None else flooding(uses_by_customer, limits))


def concentration(shares: Mapping[str, Fraction], limits: AlarmLimits = DEFAULT_LIMITS) -> list[Finding]:
    """Findings if few publishers get most of the pool; none for fewer than two publishers.

    H = (sum of share^2 - 1/n) / (1 - 1/n): the Herfindahl index, made comparable for any number n of publishers.
    """
    count = len(shares)
    if count < 2:
        return []
    found = []
    index = (sum((share**2 for share in shares.values()), Fraction(0)) * count - 1) / (count - 1)
    if index > limits.concentration:
        text = (
            f"The shares of {count} publishers are concentrated: index {percent(index)}%, where 0% is all alike "
            f"and 100% is all to one. The limit is {percent(limits.concentration)}%"
        )
        found.append(Finding("concentration", "pool", text, index))
    for name, share in sorted(shares.items()):
        if share > limits.top_share:
            text = f"{name} gets {percent(share)}% of the pool, above the limit of {percent(limits.top_share)}%"
            found.append(Finding("top_share", name, text, share))
    return found


def jumps(
    before: Mapping[str, Fraction], after: Mapping[str, Fraction], limits: AlarmLimits = DEFAULT_LIMITS
) -> list[Finding]:
    """Shares that changed by more than both limits since the period before; the figure is the change.

    A publisher that is new or gone counts with a share of 0.
    """
    found = []
    for name in sorted(before.keys() | after.keys()):
        was, now = before.get(name, Fraction(0)), after.get(name, Fraction(0))
        change = abs(now - was)
        if change > limits.jump and change > limits.jump_ratio * was:
            text = f"The share of {name} went from {percent(was)}% to {percent(now)}% since the period before"
            found.append(Finding("jump", name, text, now - was))
    return found


def flooding(uses_by_customer: Mapping[str, int], limits: AlarmLimits = DEFAULT_LIMITS) -> list[Finding]:
    """Customers that made more of the period's uses than both limits allow.

    Among n customers that made some use, the limit is max(customer_part, customer_ratio / n): one customer
    alone, and customers that are alike, never flood.
    """
    total, customers = sum(uses_by_customer.values()), sum(1 for uses in uses_by_customer.values() if uses)
    if not customers:
        return []
    limit, found = max(limits.customer_part, limits.customer_ratio / customers), []
    for customer, uses in sorted(uses_by_customer.items()):
        part = Fraction(uses, total)
        if part > limit:
            text = (
                f"Customer {customer} made {uses:,} of {total:,} uses, {percent(part)}%, above the limit of "
                f"{percent(limit)}% among {customers} customers. Its questions decide that part of the pay"
            )
            found.append(Finding("flooding", customer, text, part))
    return found
