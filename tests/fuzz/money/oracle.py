"""Money by the rules of the documentation, in integers and fractions; nothing of the product is used."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from fractions import Fraction

Shares = dict[str, Fraction]


def half_even(exact: Fraction) -> int:
    """The nearest whole number, ties to the even one."""
    low = exact.numerator // exact.denominator
    left = exact - low
    return low + (left > Fraction(1, 2) or (left == Fraction(1, 2) and low % 2 == 1))


def largest_remainder(total: int, shares: Mapping[str, Fraction]) -> dict[str, int]:
    """Whole parts of a total: each share rounded down, the rest by largest remainder, ties to the smaller id."""
    exact = {name: total * share for name, share in shares.items()}
    paid = {name: part.numerator // part.denominator for name, part in exact.items()}
    left = total - sum(paid.values())
    order = sorted(exact, key=lambda name: (-(exact[name] - paid[name]), name))
    return paid | {name: paid[name] + 1 for name in order[:left]}


def minor_units(written: str, digits: int) -> int:
    """An amount in major units, written with a point, as minor units."""
    whole, _, decimals = written.strip().partition(".")
    return int(whole) * 10**digits + int((decimals + "0" * digits)[:digits] or 0)


def splits_by_day(
    rights: Sequence[tuple[str, str, Fraction, date | None, date | None]], first: date, after: date
) -> dict[tuple[str, str], Fraction]:
    """Each publisher's part of each source, the mean over the days of a period."""
    days, found = (after - first).days, dict[tuple[str, str], Fraction]()
    for offset in range(days):
        day = first + timedelta(offset)
        for source, publisher, split, begin, end in rights:
            if (begin is None or begin <= day) and (end is None or day < end):
                key = (source, publisher)
                found[key] = found.get(key, Fraction(0)) + split / days
    return found


@dataclass(frozen=True)
class Holder:
    """What a publisher brings to a division."""

    value: Fraction
    low: Fraction
    tokens: int
    by_customer: Mapping[str, Fraction] = field(default_factory=dict)


@dataclass(frozen=True)
class Rule:
    """A policy of division."""

    weights: Mapping[str, Fraction]
    fallback: str
    noise_floor: bool
    cap: Fraction | None
    floor: Fraction | None


def proportional(numbers: Mapping[str, Fraction]) -> Shares:
    """Parts in proportion to the numbers above 0; nobody has one where there are none."""
    total = sum((max(number, Fraction(0)) for number in numbers.values()), Fraction(0))
    return {name: max(number, Fraction(0)) / total for name, number in numbers.items()} if total else {}


def attributed_shares(rule: Rule, holders: Mapping[str, Holder], fees: Mapping[str, Fraction]) -> Shares:
    """What the bases attribute, before fallback, cap and floor; user-centric shares are not yet cut to 10^-18."""
    found = dict.fromkeys(holders, Fraction(0))
    for basis, weight in rule.weights.items():
        for name, share in _by_basis(basis, holders, fees).items():
            by_value = basis in ("attribution", "user_centric")
            if not (by_value and rule.noise_floor and holders[name].low <= 0):
                found[name] += weight * share
    return found


def _by_basis(basis: str, holders: Mapping[str, Holder], fees: Mapping[str, Fraction]) -> Shares:
    if basis == "equal":
        return {name: Fraction(1, len(holders)) for name in holders}
    if basis == "token_count":
        return proportional({name: Fraction(each.tokens) for name, each in holders.items()})
    if basis == "attribution":
        return proportional({name: each.value for name, each in holders.items()})
    found, total = dict.fromkeys(holders, Fraction(0)), sum(fees.values(), Fraction(0))
    for customer, fee in fees.items():
        own = {name: each.by_customer.get(customer, Fraction(0)) for name, each in holders.items()}
        for name, share in proportional(own).items():
            found[name] += fee / total * share
    return found


def with_fallback(rule: Rule, holders: Mapping[str, Holder], attributed: Shares) -> Shares:
    """Shares that sum to 1: what is not attributed goes by the fallback."""
    rest = 1 - sum(attributed.values(), Fraction(0))
    equal = {name: Fraction(1, len(holders)) for name in holders}
    by_tokens = proportional({name: Fraction(each.tokens) for name, each in holders.items()}) or equal
    among = by_tokens if rule.fallback == "token_count" else equal
    return {name: attributed[name] + rest * among.get(name, Fraction(0)) for name in holders}


def can_be_limited(rule: Rule, before: Shares) -> bool:
    """Whether cap and floor can be kept by those that have a share."""
    count = sum(share > 0 for share in before.values())
    return (rule.cap is None or rule.cap * count >= 1) and (rule.floor is None or rule.floor * count <= 1)


def is_limited(rule: Rule, before: Shares, after: Shares, slack: Fraction) -> bool:
    """Whether shares are min(cap, max(floor, level x share)) with one level, and sum to 1."""
    top, bottom = rule.cap or Fraction(1), rule.floor or Fraction(0)
    if any((share == 0) != (after[name] == 0) for name, share in before.items()) or sum(after.values()) != 1:
        return False
    if any(not bottom <= after[name] <= top for name, share in before.items() if share):
        return False
    between = [name for name in before if before[name] and bottom < after[name] < top]
    if not between:
        return True
    largest = max(between, key=before.__getitem__)
    level = after[largest] / before[largest]
    at_top = all(level * before[name] >= top - slack for name in before if after[name] == top)
    at_bottom = all(level * before[n] <= bottom + slack for n in before if before[n] and after[n] == bottom)
    return at_top and at_bottom and all(abs(after[name] - level * before[name]) <= slack for name in between)


@dataclass
class Terms:
    """An agreement, in minor units."""

    rate: Fraction = Fraction(1)
    advances: dict[str, int] = field(default_factory=dict)
    guarantee: int = 0
    threshold: int = 0
    reserve_rate: Fraction = Fraction(0)
    reserve_months: int = 0
    withholding: Fraction = Fraction(0)
    every: int = 1
    """Months of an accounting period."""


@dataclass
class Account:
    """A publisher's account between two months."""

    balance: int = 0
    unrecouped: int = 0
    earned: int = 0
    reserves: dict[int, int] = field(default_factory=dict)

    def settle(self, terms: Terms, period: str, allocated: int) -> tuple[int, int, int]:
        """What a month pays, withholds and leaves; the account moves on."""
        year, month = map(int, period.split("-"))
        number = year * 12 + month - 1
        earned = half_even(terms.rate * allocated)
        owed = self.unrecouped + terms.advances.get(period, 0)
        free = max(earned + min(self.balance, 0), 0)
        recouped = min(free, owed)
        accrued = earned + (0 if number % terms.every == 0 else self.earned)
        due = (number + 1) % terms.every == 0
        shortfall = max(0, terms.guarantee - accrued) if due else 0
        held = half_even(terms.reserve_rate * min(earned, free - recouped))
        over = [at for at in self.reserves if number - at >= terms.reserve_months]
        released = sum(self.reserves.pop(at) for at in over)
        payable = self.balance + earned - recouped + shortfall - held + released
        settled = payable if due and payable > 0 and payable >= terms.threshold else 0
        withheld = half_even(terms.withholding * settled)
        if held:
            self.reserves[number] = held
        self.balance, self.unrecouped, self.earned = payable - settled, owed - recouped, 0 if due else accrued
        return settled - withheld, withheld, self.balance
