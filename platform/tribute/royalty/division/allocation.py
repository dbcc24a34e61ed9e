"""Shares of all publishers under a policy, each in parts that show why."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import lcm
from numbers import Rational

from tribute.errors import MoneyError
from tribute.royalty.division.limits import ZERO, limited
from tribute.royalty.division.policy import Policy
from tribute.royalty.document import Basis, Fallback

Shares = dict[str, Fraction]
UNITS = 10**18
"""Parts into which a customer's fee is divided."""


@dataclass(frozen=True)
class Claim:
    """Inputs of one publisher: calibrated value and interval in nats, signed; number of tokens.

    Raises:
        MoneyError: a number is inexact, tokens are negative, or the interval is upside down.
    """

    publisher_id: str
    value: Fraction
    low: Fraction
    high: Fraction
    tokens: Fraction
    by_customer: Mapping[str, Fraction] = field(default_factory=dict, hash=False)
    """Value of each customer's own queries, nats, signed."""

    def __post_init__(self) -> None:
        for number in (self.value, self.low, self.high, self.tokens, *self.by_customer.values()):
            _check_exact(f"A number of {self.publisher_id}", number)
        if self.tokens < 0 or self.low > self.high:
            raise MoneyError(
                f"Claim of {self.publisher_id}: tokens {self.tokens}, interval {self.low} to {self.high}. Tokens "
                "must be at least 0 and the interval in order; value the period again"
            )


@dataclass(frozen=True)
class ShareParts:
    """A publisher's share by where it comes from: the policy's basis, its fallback, its cap and floor."""

    attributed: Fraction
    unattributed: Fraction
    moved: Fraction

    @property
    def share(self) -> Fraction:
        """attributed + unattributed + moved."""
        return self.attributed + self.unattributed + self.moved


@dataclass(frozen=True)
class Allocation:
    """All publishers' parts, sorted by id; the shares sum to exactly 1."""

    parts: Mapping[str, ShareParts]
    unattributed: Fraction
    """What of the pool the fallback paid, before cap and floor."""
    basis: Basis
    """The basis that was paid: the policy's, or its fallback where that gave nobody anything."""

    def shares(self) -> dict[str, Fraction]:
        """Share by publisher."""
        return {name: part.share for name, part in self.parts.items()}


def allocate_shares(
    policy: Policy, claims: Sequence[Claim], fees: Mapping[str, Fraction] | None = None
) -> Allocation:
    """Every publisher's share of a pool under a policy.

    What the bases cannot attribute (nobody has a positive value, for a customer or at all; or, with a noise floor,
    the publisher's interval reaches 0) is unattributed and divided by the fallback. Cap and floor come last, over
    those that have a share.

    Args:
        fees: what each customer paid, for the basis `user_centric`. A customer without a fee decides nothing.

    Raises:
        MoneyError: no publisher, one publisher twice, or fees that are missing, inexact or negative.
        PolicyError: cap or floor cannot be kept by the publishers that have a share.
    """
    ordered = _checked(policy, claims, fees or {})
    attributed = dict.fromkeys((claim.publisher_id for claim in ordered), ZERO)
    for basis, weight in policy.weights.items():
        for name, share in _by_basis(basis, ordered, fees or {}, policy.noise_floor).items():
            attributed[name] += weight * share
    rest = 1 - sum(attributed.values(), ZERO)
    fallback, fallback_shares = _fallback(policy.fallback, ordered)
    unattributed = {name: rest * fallback_shares.get(name, ZERO) for name in attributed}
    before = {name: attributed[name] + unattributed[name] for name in attributed}
    bounded = policy.cap is not None or policy.floor is not None
    after = limited(before, policy.cap, policy.floor) if bounded else before
    parts = {
        name: ShareParts(attributed[name], unattributed[name], after[name] - before[name]) for name in attributed
    }
    return Allocation(parts, rest, fallback if rest == 1 else policy.basis)


def _by_basis(basis: str, claims: Sequence[Claim], fees: Mapping[str, Fraction], noise_floor: bool) -> Shares:
    """Share that a basis attributes to each publisher; they sum to 1, or to less where it cannot attribute."""
    if basis == "equal":
        return {claim.publisher_id: Fraction(1, len(claims)) for claim in claims}
    if basis == "token_count":
        return _proportional({claim.publisher_id: claim.tokens for claim in claims})
    counted = {claim.publisher_id for claim in claims if claim.low > 0 or not noise_floor}
    if basis == "attribution":
        shares = _proportional({claim.publisher_id: claim.value for claim in claims})
    else:
        shares = _user_centric(claims, fees)
    return {name: share for name, share in shares.items() if name in counted}


def _user_centric(claims: Sequence[Claim], fees: Mapping[str, Fraction]) -> Shares:
    """Each customer's fee over its own publishers, in whole parts of UNITS by largest remainder.

    Without the cut, the shares' denominators would grow by some eight digits with every customer: to 83,000 for
    10,000 customers, more than anyone can print or check. With it, each share is within one unit (10^-18) of the
    exact one, so that a publisher who splits into two accounts gets the same within three.
    """
    units = dict.fromkeys((claim.publisher_id for claim in claims), 0)
    of_customer: dict[str, dict[str, Fraction]] = defaultdict(dict)
    for claim in claims:
        for customer, value in claim.by_customer.items():
            if value.numerator > 0 and fees.get(customer):
                of_customer[customer][claim.publisher_id] = value
    whole_fees = _in_proportion(fees)
    for customer, own in of_customer.items():
        for name, part in _whole_parts(own).items():
            units[name] += whole_fees[customer] * part
    total = sum(whole_fees.values()) * UNITS
    return {name: Fraction(part, total) for name, part in units.items()} if total else {}


def _whole_parts(own: Mapping[str, Fraction]) -> dict[str, int]:
    """UNITS in proportion to values above 0, by largest remainder as `allocate` does, in integers alone."""
    weights = _in_proportion(own)
    total = sum(weights.values())
    exact = {name: divmod(UNITS * weight, total) for name, weight in weights.items()}
    parts = {name: part for name, (part, _) in exact.items()}
    by_remainder = sorted(exact, key=lambda name: (-exact[name][1], name))
    for name in by_remainder[: UNITS - sum(parts.values())]:
        parts[name] += 1
    return parts


def _in_proportion(numbers: Mapping[str, Fraction]) -> dict[str, int]:
    """Integers in the same proportion: all times one common denominator."""
    common = lcm(*(number.denominator for number in numbers.values()))
    return {name: number.numerator * (common // number.denominator) for name, number in numbers.items()}


def _fallback(name: Fallback, claims: Sequence[Claim]) -> tuple[Basis, Shares]:
    shares = _by_basis(name, claims, {}, noise_floor=False)
    return (name, shares) if shares else ("equal", _by_basis("equal", claims, {}, noise_floor=False))


def _proportional(values: Mapping[str, Fraction]) -> Shares:
    """Each value above 0 over their sum; nobody, if there is none."""
    positive = {name: Fraction(value) for name, value in values.items() if value > 0}
    total = sum(positive.values(), ZERO)
    return {name: value / total for name, value in positive.items()}


def _checked(policy: Policy, claims: Sequence[Claim], fees: Mapping[str, Fraction]) -> list[Claim]:
    ordered = sorted(claims, key=lambda claim: claim.publisher_id)
    names = [claim.publisher_id for claim in ordered]
    if not names or len(set(names)) < len(names):
        raise MoneyError(f"A pool is divided among publishers, each once, got {names}. Add or merge their claims")
    if "user_centric" in policy.weights and not fees:
        raise MoneyError("The basis user_centric divides customers' fees, got none. Pass every customer's fee")
    for customer, fee in fees.items():
        _check_exact(f"The fee of customer {customer}", fee)
        if fee < 0:
            raise MoneyError(f"The fee of customer {customer} is {fee}, below 0. Correct the fees")
    return ordered


def _check_exact(what: str, number: object) -> None:
    if not isinstance(number, Rational):
        raise MoneyError(f"{what} is {number!r}, which is not exact. Convert it to a Fraction once")
