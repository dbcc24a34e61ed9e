"""Fractions read without loss: a number is taken exactly as written, or refused."""

import re
from decimal import Decimal
from fractions import Fraction

SHORT_DECIMAL = re.compile(r"\d+(\.\d{1,6})?")
"""A number whose decimals, six at most, are all of it, so that a binary float read from it hides nothing."""

_EXACT = re.compile(r"\d+(\.\d+|/0*[1-9]\d*)?")


def exact_fraction(value: object) -> Fraction:
    """A number of at least 0, written as 1, 0.25 or 1/3; a binary number only if its six decimals are all of it.

    Raises:
        ValueError: says what is wrong and how to write it.
    """
    if isinstance(value, Fraction):
        return value
    if isinstance(value, float) and not SHORT_DECIMAL.fullmatch(str(value)):
        raise ValueError(f"{value} is a binary number that hides its exact part. Write text: '1/3'")
    written = plain_text(value)
    if isinstance(value, bool) or not _EXACT.fullmatch(written):
        raise ValueError(f"{written!r} is not a number such as 1, 0.5 or 1/3. Correct it")
    return Fraction(written)


def plain_text(value: object) -> str:
    """A number as people write it, without an exponent; other values without the spaces around them."""
    return f"{value:f}" if isinstance(value, Decimal) else str(value).strip()
