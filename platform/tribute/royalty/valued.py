"""What a settlement needs to know of a period, its publishers and their sources."""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from tribute.royalty.money import Money
from tribute.royalty.policy import ATTRIBUTION_CLIP_AGGREGATE, Policy


@dataclass(frozen=True)
class LineValue:
    """A publisher's part of one source in a period: already multiplied by its split. Values in nats."""

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


@dataclass(frozen=True)
class PublisherValue:
    """What a publisher's sources were worth in a period, and its exact share of the pool.

    `attribution_signed_nats` is as measured; `value_nats` is after shrinkage, and carries the interval.
    """

    publisher_id: str
    name: str
    share: Fraction
    attribution_signed_nats: Decimal
    value_nats: Decimal
    ci_low_nats: Decimal
    ci_high_nats: Decimal
    lines: tuple[LineValue, ...]


@dataclass(frozen=True)
class Quality:
    """A quality certificate: its id, the SHA-256 of its page, and its two headlines, parts of 1.

    `misallocated_pool`: what part of the pool goes to another payee than real retraining says; `coverage_95`: what
    part of the 95% intervals held the retrained truth.
    """

    certificate_id: str
    sha256: str
    misallocated_pool: Decimal
    coverage_95: Decimal


@dataclass(frozen=True)
class PeriodFacts:
    """What all statements of a period have in common; `shrinkage` is the weight of the token shares, 0 to 1."""

    project: str
    period: str
    pool: Money
    shrinkage: Decimal
    value_run: str
    simulate_run: str
    train_run: str
    allocation_basis: str = "attribution"
    policy: Policy = ATTRIBUTION_CLIP_AGGREGATE
    statement_version: int = 1
    quality: Quality | None = None
