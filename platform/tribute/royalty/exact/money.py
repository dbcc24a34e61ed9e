"""Money in integer minor units, and its exact division by largest remainder."""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from numbers import Rational

from iso4217 import Currency

from tribute.errors import MoneyError

_PLAIN = re.compile(r"(?P<sign>[+-]?)(?P<whole>[0-9]+)(?:\.(?P<decimals>[0-9]+))?")
LARGEST_MINOR = 10**18
"""Minor units that a table of the lake holds, with room to add some up."""
_DIGITS = {currency.code: currency.exponent for currency in Currency}


@dataclass(frozen=True)
class Money:
    """An amount in minor units of an ISO 4217 currency (cents of a euro, fils of a dinar, whole yen)."""

    minor: int
    currency: str

    def __post_init__(self) -> None:
        currency_exponent(self.currency)

    @property
    def exponent(self) -> int:
        """Decimal digits of the currency's minor unit."""
        return currency_exponent(self.currency)

    def decimal(self) -> Decimal:
        """The amount in major units, exact whatever its size."""
        digits = tuple(int(digit) for digit in str(abs(self.minor)))
        return Decimal((int(self.minor < 0), digits, -self.exponent))

    def text(self) -> str:
        """The amount as people read it: `10,000.00 EUR`."""
        return f"{self.decimal():,f} {self.currency}"


def currency_exponent(code: str) -> int:
    """Decimal digits of the minor unit of an ISO 4217 currency: EUR 2, JPY 0, KWD 3.

    Raises:
        MoneyError: the code is unknown (suggests near ones), or has no minor unit to pay in (gold, test codes).
    """
    if code not in _DIGITS:
        near = difflib.get_close_matches(code.upper(), _DIGITS, n=3)
        hint = f"Did you mean {', '.join(near)}?" if near else "Write three letters such as EUR, USD or JPY"
        raise MoneyError(f"Currency {code!r} is not an ISO 4217 code. {hint}")
    digits = _DIGITS[code]
    if digits is None:
        raise MoneyError(f"{code} has no minor unit and cannot be paid out. Use a currency such as EUR")
    return int(digits)


def parse_money(amount: str, currency: str) -> Money:
    """Read an amount written as a plain decimal number, such as `10000.00`.

    Raises:
        MoneyError: unknown currency, not a plain number, negative, more decimals than the currency has, or more
            than 10^18 minor units.
    """
    exponent = currency_exponent(currency)
    written = _PLAIN.fullmatch(amount.strip())
    if written is None or len(amount) > 80:
        raise MoneyError(
            f"Amount {amount[:80]!r} is not a plain decimal number. Write it as 10000.00: digits and a point only"
        )
    decimals = written["decimals"] or ""
    if written["sign"] == "-":
        raise MoneyError(f"Amount {amount!r} is negative. A pool is at least 0; check its sign")
    if len(decimals) > exponent:
        raise MoneyError(
            f"Amount {amount!r} has {len(decimals)} decimals, {currency} has {exponent}. "
            f"Write it with at most {exponent}, such as {Money(10**exponent, currency).decimal()}"
        )
    minor = int(written["whole"] + decimals.ljust(exponent, "0"))
    if minor > LARGEST_MINOR:
        largest = Money(LARGEST_MINOR, currency).decimal()
        raise MoneyError(f"Amount {amount!r} is above {largest}, the largest that can be paid. Correct it")
    return Money(minor, currency)


def allocate(pool_minor: int, shares: Mapping[str, Fraction]) -> dict[str, int]:
    """Divide minor units by largest remainder (Hamilton), so that the parts sum to the pool exactly.

    Each id gets floor(pool x share); the units left over go to the largest fractional parts, ties to the
    smaller id. Every amount is within one unit of pool x share, and a zero share is paid zero. Not monotone: a
    larger pool can cost someone one unit (the Alabama paradox).

    Args:
        shares: exact, at least 0, summing to exactly 1.

    Raises:
        MoneyError: negative pool, or shares that are inexact, negative or do not sum to 1.
    """
    _check(pool_minor, shares)
    exact = {name: pool_minor * Fraction(share) for name, share in shares.items()}
    paid = {name: part.numerator // part.denominator for name, part in exact.items()}
    by_remainder = sorted(exact, key=lambda name: (paid[name] - exact[name], name))
    for name in by_remainder[: pool_minor - sum(paid.values())]:
        paid[name] += 1
    return paid


def _check(pool_minor: int, shares: Mapping[str, Fraction]) -> None:
    if pool_minor < 0:
        raise MoneyError(f"A pool of {pool_minor} minor units cannot be divided: it must be at least 0")
    inexact = sorted(name for name, share in shares.items() if not isinstance(share, Rational))
    if inexact:
        raise MoneyError(f"The share of {inexact[0]} is not exact. Convert it to a Fraction once, before settling")
    negative = sorted(name for name, share in shares.items() if share < 0)
    if negative:
        raise MoneyError(
            f"The share of {negative[0]} is {shares[negative[0]]}, below 0. Clip values before sharing"
        )
    total = sum(shares.values(), Fraction(0))
    if total != 1:
        raise MoneyError(
            f"{len(shares)} shares sum to {total}, not to 1. Divide each by their sum before settling"
        )
