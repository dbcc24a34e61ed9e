"""What moved between two periods, and why: exact parts of every difference, from the statements alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from tribute.errors import MoneyError
from tribute.royalty.account.restatement import Key, Statements, by_publisher
from tribute.royalty.division.policy import Policy
from tribute.royalty.statement.comparison_notes import notes
from tribute.royalty.statement.reallocation import shares_under

_UNSEPARATED = "The policy changed, and its part cannot be told from the values' part: both stand under policy."


@dataclass(frozen=True)
class PublisherMove:
    """A publisher's amounts in one currency, minor units.

    after - before = pool + policy + value + rounding, where, with P the pools and s the shares,
    pool = (P' - P) s, policy = P' (m - s), value = P' (s' - m), and m the share of the old values under the new
    policy, each rounded half to even; rounding is the rest, a few units at most.
    """

    publisher_id: str
    currency: str
    before_minor: int
    after_minor: int
    pool_minor: int
    policy_minor: int
    value_minor: int
    rounding_minor: int

    @property
    def change_minor(self) -> int:
        """after - before."""
        return self.after_minor - self.before_minor


@dataclass(frozen=True)
class LineMove:
    """A source's amount for a publisher, minor units; None where it had no line. No source: unattributed."""

    publisher_id: str
    currency: str
    source_id: str | None
    before_minor: int | None
    after_minor: int | None

    @property
    def change_minor(self) -> int:
        """after - before, with nothing for a line that is not there."""
        return (self.after_minor or 0) - (self.before_minor or 0)


@dataclass(frozen=True)
class Comparison:
    """Two periods, or two versions of one: what moved most comes first."""

    before: str
    after: str
    publishers: tuple[PublisherMove, ...]
    lines: tuple[LineMove, ...]
    """Lines whose amount changed, and those that appeared or vanished."""
    notes: tuple[str, ...]
    """What else changed: policy, basis, quality, model; and what could not be told apart."""


def compare(
    before_statements: Statements, after_statements: Statements, policy: Policy | None = None
) -> Comparison:
    """Compare the statements of two periods.

    Args:
        policy: that of the later period. Where the policy changed, it is needed to tell the policy's part from
            the values' part; where it is missing, or the statements do not suffice to compute shares by it (the
            basis user_centric), their sum stands under policy, and a note says so.

    Raises:
        MoneyError: no statements, several periods on one side, two statements of one publisher and currency, or a
            policy that is not the later period's.
    """
    old, new = _period(before_statements, "earlier"), _period(after_statements, "later")
    before, after = by_publisher(before_statements), by_publisher(after_statements)
    _check_policy(policy, after_statements)
    moves: list[PublisherMove] = []
    told = notes(before_statements, after_statements)
    for currency in sorted({currency for _, currency in before.keys() | after.keys()}):
        was, now = _of_currency(before, currency), _of_currency(after, currency)
        between = shares_under(policy, was, now)
        if between is None and _UNSEPARATED not in told:
            told = (*told, _UNSEPARATED)
        moves += _publisher_moves(currency, was, now, between)
    ranked = sorted(moves, key=lambda move: (-abs(move.change_minor), move.publisher_id, move.currency))
    return Comparison(old, new, tuple(ranked), _line_moves(before, after), told)


def _publisher_moves(
    currency: str,
    was: Mapping[str, Mapping[str, Any]],
    now: Mapping[str, Mapping[str, Any]],
    between: Mapping[str, Fraction] | None,
) -> list[PublisherMove]:
    pool_before, pool_after = _pool(was), _pool(now)
    moves = []
    for name in sorted(was.keys() | now.keys()):
        share, last = _share(was.get(name)), _share(now.get(name))
        middle = last if between is None else between.get(name, Fraction(0))
        first_minor, last_minor = _amount(was.get(name)), _amount(now.get(name))
        parts = (
            round((pool_after - pool_before) * share),
            round(pool_after * (middle - share)),
            round(pool_after * (last - middle)),
        )
        rest = last_minor - first_minor - sum(parts)
        moves.append(PublisherMove(name, currency, first_minor, last_minor, *parts, rest))
    return moves


def _line_moves(
    before: Mapping[Key, Mapping[str, Any]], after: Mapping[Key, Mapping[str, Any]]
) -> tuple[LineMove, ...]:
    was, now = _line_amounts(before), _line_amounts(after)
    moves = [LineMove(*key, was.get(key), now.get(key)) for key in was.keys() | now.keys()]
    changed = (move for move in moves if move.change_minor or None in (move.before_minor, move.after_minor))
    return tuple(sorted(changed, key=_most_moved))


def _most_moved(move: LineMove) -> tuple[int, str, str, bool, str]:
    return (
        -abs(move.change_minor),
        move.publisher_id,
        move.currency,
        move.source_id is None,
        move.source_id or "",
    )


def _line_amounts(statements: Mapping[Key, Mapping[str, Any]]) -> dict[tuple[str, str, str | None], int]:
    """Minor units by publisher, currency and source, summed over the pools."""
    amounts: dict[tuple[str, str, str | None], int] = {}
    for (publisher_id, currency), statement in statements.items():
        for line in statement["lines"]:
            key = (publisher_id, currency, line["source_id"])
            amounts[key] = amounts.get(key, 0) + line["amount_minor"]
    return amounts


def _period(statements: Statements, which: str) -> str:
    periods = sorted({statement["period"] for statement in statements})
    if len(periods) != 1:
        raise MoneyError(
            f"The {which} side of a comparison is one period, got {', '.join(periods) or 'none'}. "
            "Settle it first: tribute settle"
        )
    return str(periods[0])


def _check_policy(policy: Policy | None, statements: Sequence[Mapping[str, Any]]) -> None:
    if policy is not None and any(each["policy"]["sha256"] != policy.sha256 for each in statements):
        raise MoneyError(
            f"Policy {policy.name} version {policy.version} is not the policy of the later period. "
            "Pass the policy that its statements name"
        )


def _of_currency(statements: Mapping[Key, Mapping[str, Any]], currency: str) -> dict[str, Mapping[str, Any]]:
    return {name: statement for (name, code), statement in statements.items() if code == currency}


def _pool(statements: Mapping[str, Mapping[str, Any]]) -> int:
    """All pools of a currency, which every statement of it names."""
    first = next(iter(statements.values()), None)
    return 0 if first is None else sum(pool["pool_amount_minor"] for pool in first["pools"])


def _share(statement: Mapping[str, Any] | None) -> Fraction:
    return Fraction(0) if statement is None else Fraction(statement["share"])


def _amount(statement: Mapping[str, Any] | None) -> int:
    return 0 if statement is None else int(statement["amount_minor"])
