"""Exact shares of payees, and the division of a pool by them."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from tribute.errors import MoneyError, RightsError
from tribute.ids import ascii_excerpt, checked_id, excerpt, listed, look_alikes
from tribute.royalty.division import Claim, Policy, allocate_shares, parse_policy
from tribute.royalty.exact import Money, allocate, parse_money
from tribute.royalty.exact.text import exact_fraction
from tribute.study.plots import bars
from tribute.study.table import Result, Row, number, percent
from tribute.valuation import exact
from tribute.valuation.rows import CorpusSources, Splits, valuation_rows
from tribute.valuation.values import SourceValues

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_FIGURES = ("share_low", "share_high", "token_share")


@dataclass(frozen=True)
class PayeeShare:
    """A payee's exact share; the interval of its share by value, whatever the policy; and its token share."""

    share: Fraction
    low: float
    high: float
    token_share: float


@dataclass(frozen=True, repr=False)
class Shares(Result):
    """Exact shares of the payees, which sum to 1.

    Args:
        payees: by id.
        policy: how values became shares.

    >>> shares = study.value(study.attribute(queries)).shares({"a": "press", "b": "press", "c": "radio"})
    >>> sum(shares.exact.values())
    Fraction(1, 1)
    >>> sorted(shares.exact)
    ['press', 'radio']
    """

    payees: Mapping[str, PayeeShare]
    policy: Policy

    @property
    def exact(self) -> dict[str, Fraction]:
        """Share by payee."""
        return {payee: each.share for payee, each in self.payees.items()}

    @property
    def title(self) -> str:
        """How many payees, and the policy."""
        return f"Shares of {len(self.payees)} payees by policy {self.policy.name} {self.policy.version}"

    def rows(self) -> list[Row]:
        """A row per payee, the largest share first: share, both ends of its interval, token share."""
        ranked = sorted(self.payees.items(), key=lambda item: (-item[1].share, item[0]))
        return [
            {
                "payee": payee,
                "share": float(each.share),
                "low": each.low,
                "high": each.high,
                "token_share": each.token_share,
            }
            for payee, each in ranked
        ]

    def cells(self) -> list[dict[str, str]]:
        """The rows with parts of 1 as percentages."""
        return [
            {name: percent(value) if isinstance(value, float) else str(value) for name, value in row.items()}
            for row in self.rows()
        ]

    def allocate(self, pool: str | Money) -> "Payout":
        """Divide a pool to the minor unit, by largest remainder.

        Args:
            pool: amount and currency, such as `"10000.00 EUR"`.

        Raises:
            MoneyError: no amount in a known currency.
        """
        money = pool if isinstance(pool, Money) else _money(pool)
        return Payout(money, allocate(money.minor, self.exact), self.exact)

    def plot(self) -> "Axes":
        """A bar per payee with its interval, next to its token share."""
        rows = self.rows()
        share, low, high, tokens = (
            [100 * number(row[name]) for row in rows] for name in ("share", "low", "high", "token_share")
        )
        labels = ("percent of the pool", "share, 95% interval", "token share")
        return bars([str(row["payee"]) for row in rows], share, low, high, tokens, labels, self.title)


@dataclass(frozen=True, repr=False)
class Payout(Result):
    """A pool divided among the payees, exact to the minor unit.

    Args:
        pool: what was divided.
        minor: by payee, in minor units (cents of a euro); they sum to the pool.
        shares: by payee.

    >>> payout = study.value(study.attribute(queries)).shares().allocate("100.01 EUR")
    >>> sum(payout.minor.values())
    10001
    """

    pool: Money
    minor: Mapping[str, int]
    shares: Mapping[str, Fraction]

    @property
    def title(self) -> str:
        """The pool and how many payees divide it."""
        return f"{self.pool.text()} over {len(self.minor)} payees"

    def amount(self, payee: str) -> Money:
        """What a payee gets."""
        return Money(self.minor[payee], self.pool.currency)

    def rows(self) -> list[Row]:
        """A row per payee, the largest amount first: share, and amount as exact text."""
        ranked = sorted(self.minor, key=lambda payee: (-self.minor[payee], payee))
        return [
            {
                "payee": payee,
                "share": float(self.shares[payee]),
                "amount": str(self.amount(payee).decimal()),
                "currency": self.pool.currency,
            }
            for payee in ranked
        ]

    def cells(self) -> list[dict[str, str]]:
        """The rows as people read them."""
        return [
            {
                "payee": str(row["payee"]),
                "share": percent(float(self.shares[str(row["payee"])])),
                "amount": self.amount(str(row["payee"])).text(),
            }
            for row in self.rows()
        ]

    def plot(self) -> "Axes":
        """A bar per payee."""
        rows = self.rows()
        amounts = [float(self.amount(str(row["payee"])).decimal()) for row in rows]
        equal = [sum(amounts) / len(rows)] * len(rows)
        labels = (self.pool.currency, "amount", "equal amounts")
        return bars([str(row["payee"]) for row in rows], amounts, amounts, amounts, equal, labels, self.title)


def divided(
    sources: CorpusSources,
    values: SourceValues,
    rights: Mapping[str, str | Mapping[str, Any]] | None,
    policy: Policy | Mapping[str, Any],
) -> Shares:
    """Shares as a settlement of the same values gives them; raises what `Values.shares` does."""
    rule = policy if isinstance(policy, Policy) else parse_policy(policy)
    rows = valuation_rows(sources, _splits(sources.source_ids, rights), values)
    publishers = {str(row["publisher_id"]): row for row in rows if row["level"] == "publisher"}
    tokens = dict.fromkeys(publishers, 0)
    for row in rows:
        if row["level"] == "line":
            tokens[str(row["publisher_id"])] += round(number(row["tokens"]))
    claims = [_claim(payee, row, tokens[payee]) for payee, row in publishers.items()]
    found = allocate_shares(rule, claims).shares()
    return Shares(
        {
            payee: PayeeShare(share, *(number(publishers[payee][name]) for name in _FIGURES))
            for payee, share in found.items()
        },
        rule,
    )


def _claim(payee: str, row: Mapping[str, object], tokens: int) -> Claim:
    value, low, high = (
        Fraction(exact(number(row[name]))) for name in ("value_nats", "ci_low_nats", "ci_high_nats")
    )
    return Claim(payee, value, low, high, Fraction(tokens))


def _splits(source_ids: tuple[str, ...], rights: Mapping[str, str | Mapping[str, Any]] | None) -> Splits:
    """Every publisher's part of every source; the parts of a source sum to 1."""
    held = {source_id: source_id for source_id in source_ids} if rights is None else _checked(rights)
    unknown, missing = sorted(set(held) - set(source_ids)), sorted(set(source_ids) - set(held))
    if unknown:
        raise RightsError(f"rights name {excerpt(unknown[0])}, which is no source. Sources: {listed(source_ids)}")
    if missing:
        raise RightsError(
            f"rights name no publisher of {listed(missing)}. Give every source of the study a publisher, "
            f"such as {{{missing[0]!r}: 'a-publisher'}}"
        )
    splits: Splits = {}
    for source_id, who in sorted(held.items()):
        parts = {who: Fraction(1)} if isinstance(who, str) else _parts(source_id, who)
        splits |= {(source_id, publisher): part for publisher, part in sorted(parts.items())}
    return splits


def _parts(source_id: str, who: Mapping[str, Any]) -> dict[str, Fraction]:
    parts = {}
    for publisher, part in who.items():
        try:
            parts[publisher] = exact_fraction(part)
        except ValueError as problem:
            raise RightsError(f"rights of source {source_id}, publisher {publisher}: {problem}") from None
    total = sum(parts.values(), Fraction(0))
    if total != 1:
        raise RightsError(
            f"rights of source {source_id}: its parts {', '.join(map(str, parts.values())) or '(none)'} sum to "
            f"{total}. Correct them, so that they sum to 1"
        )
    return parts


def _checked(rights: Mapping[str, str | Mapping[str, Any]]) -> dict[str, str | dict[str, Any]]:
    """Rights with ids in Unicode's form NFC, whose publishers do not look alike."""
    checked: dict[str, str | dict[str, Any]] = {}
    publishers: set[str] = set()
    try:
        for source_id, who in rights.items():
            own = {checked_id(name): part for name, part in ({who: 1} if isinstance(who, str) else who).items()}
            checked[checked_id(source_id)] = next(iter(own)) if isinstance(who, str) else own
            publishers |= own.keys()
    except ValueError as problem:
        raise RightsError(f"An id in rights {problem}") from None
    for one, other in look_alikes(sorted(publishers)):
        raise RightsError(
            f"The publishers {ascii_excerpt(one)} and {ascii_excerpt(other)} in rights look alike. Write both "
            "alike if they are one, or rename one"
        )
    return checked


def _money(pool: str) -> Money:
    parts = pool.split() if isinstance(pool, str) else []
    if len(parts) != 2:
        raise MoneyError(f"Pool {pool!r} is not an amount and a currency. Write it as '10000.00 EUR'")
    return parse_money(*parts)
