"""Parts that several views share: amounts and intervals."""

from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict, Field

from tribute.royalty.exact import Money


class View(BaseModel):
    """A part of an answer: immutable."""

    model_config = ConfigDict(frozen=True)


class Amount(View):
    """Money: exact minor units, and the text that people read."""

    minor: int = Field(description="minor units of the currency, such as cents")
    currency: str = Field(description="ISO 4217 code")
    text: str = Field(description="such as 1,759.67 EUR")


class Interval(View):
    """A figure with the ends of its 95% interval."""

    value: float
    low: float
    high: float


def amount(minor: int, currency: str) -> Amount:
    """An amount in minor units."""
    return Amount(minor=minor, currency=currency, text=Money(minor, currency).text())


def sums(amounts: Iterable[Amount]) -> tuple[Amount, ...]:
    """The sum for each currency, by its code."""
    minors: dict[str, int] = {}
    for each in amounts:
        minors[each.currency] = minors.get(each.currency, 0) + each.minor
    return tuple(amount(minors[currency], currency) for currency in sorted(minors))
