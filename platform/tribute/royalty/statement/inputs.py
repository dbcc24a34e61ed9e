"""Inputs of a settlement: pools, publishers, and the values of their sources."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction

from tribute.errors import MoneyError
from tribute.royalty.division.allocation import Claim
from tribute.royalty.division.policy import DEFAULT_POLICY, Policy
from tribute.royalty.document import QualityCertificate, Repetition
from tribute.royalty.exact.money import Money, currency_exponent


@dataclass(frozen=True)
class LineValue:
    """A publisher's part of one source in a period: already multiplied by its split. Values in nats, exact."""

    source_id: str
    title: str
    license: str
    usage_count: int
    attribution_signed_nats: Decimal
    value_nats: Decimal
    ci_low_nats: Decimal
    ci_high_nats: Decimal
    tokens: int
    split: Fraction = Fraction(1)
    terms: Mapping[str, str] = field(default_factory=dict, hash=False)
    """The holder's declared terms, verbatim."""


@dataclass(frozen=True)
class PublisherValue:
    """Value of a publisher's sources in a period. A publisher without lines had none; it gets a statement too.

    `attribution_signed_nats` is as measured; `value_nats` is after calibration, and carries the interval.
    """

    publisher_id: str
    name: str
    attribution_signed_nats: Decimal
    value_nats: Decimal
    ci_low_nats: Decimal
    ci_high_nats: Decimal
    lines: tuple[LineValue, ...]
    usage_count: int = 0
    by_customer: Mapping[str, Decimal] = field(default_factory=dict, hash=False)
    """Value of each customer's own queries, nats, signed."""
    share_ends: tuple[Decimal, Decimal] | None = None
    """Interval of its share by value, 0 to 1; None: not known."""

    def claim(self) -> Claim:
        """The publisher's claim on a pool."""
        return Claim(
            self.publisher_id,
            Fraction(self.value_nats),
            Fraction(self.ci_low_nats),
            Fraction(self.ci_high_nats),
            Fraction(sum(line.tokens for line in self.lines)),
            {name: Fraction(nats) for name, nats in self.by_customer.items()},
        )


@dataclass(frozen=True)
class Pool:
    """Money to divide: revenue less deductions, times the rate that the payer owes of it. Minor units.

    Raises:
        MoneyError: an unknown currency, an amount below 0, more deductions than revenue, or an impossible rate.
    """

    pool_id: str
    currency: str
    gross_minor: int
    deductions: tuple[tuple[str, int], ...] = ()
    rate: Fraction = Fraction(1)

    def __post_init__(self) -> None:
        currency_exponent(self.currency)
        if self.net_minor < 0 or any(minor < 0 for minor in (self.gross_minor, *(d for _, d in self.deductions))):
            raise MoneyError(
                f"Pool {self.pool_id}: {Money(self.gross_minor, self.currency).text()} less deductions is "
                f"{Money(self.net_minor, self.currency).text()}. Deduct at most the revenue"
            )
        if not 0 <= self.rate <= 1:
            raise MoneyError(f"Pool {self.pool_id}: the rate {self.rate} is not from 0 to 1. Correct it")

    @property
    def net_minor(self) -> int:
        """Revenue less deductions."""
        return self.gross_minor - sum(minor for _, minor in self.deductions)

    @property
    def amount(self) -> Money:
        """The amount to divide: net times rate, halves to even."""
        return Money(round(self.net_minor * self.rate), self.currency)


@dataclass(frozen=True)
class PeriodFacts:
    """Fields that all statements of a period share; `shrinkage` is the weight of the token shares, 0 to 1."""

    project: str
    period: str
    pools: tuple[Pool, ...]
    shrinkage: Decimal
    value_run: str
    simulate_run: str
    train_run: str
    repetition: Repetition
    policy: Policy = DEFAULT_POLICY
    fees: Mapping[str, Fraction] = field(default_factory=dict, hash=False)
    """What each customer paid, for the basis `user_centric`."""
    statement_version: int = 1
    superseded: frozenset[tuple[str, str]] = frozenset()
    """Publisher and currency of every statement of the final version that this one restates; none: it restates
    none, and moves the accounts."""
    final: bool = False
    quality: QualityCertificate | None = None

    def __post_init__(self) -> None:
        ids = [pool.pool_id for pool in self.pools]
        if not ids or len(set(ids)) < len(ids):
            raise MoneyError(f"A period has pools, each with an id of its own, got {ids}. Correct `pools`")

    def currencies(self) -> Sequence[str]:
        """The currencies of the pools, each of which has its statements."""
        return sorted({pool.currency for pool in self.pools})
