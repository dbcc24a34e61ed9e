"""Comparison of two periods from their statements alone: every difference split into exact parts."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from tribute.errors import MoneyError, PolicyError
from tribute.royalty.account.restatement import Key, Statements, by_publisher
from tribute.royalty.division.allocation import Claim, allocate_shares
from tribute.royalty.division.policy import Policy
from tribute.royalty.document import QualityCertificate, Statement
from tribute.royalty.exact.text import plain

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
    """Other changes: policy, basis, quality, model; and parts that could not be separated."""


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
    changes = tuple(_notes(before_statements, after_statements))
    for currency in sorted({currency for _, currency in before.keys() | after.keys()}):
        was, now = _of_currency(before, currency), _of_currency(after, currency)
        between = _shares_under(policy, was, now)
        if between is None and _UNSEPARATED not in changes:
            changes = (*changes, _UNSEPARATED)
        moves += _publisher_moves(currency, was, now, between)
    ranked = sorted(moves, key=lambda move: (-abs(move.change_minor), move.publisher_id, move.currency))
    return Comparison(old, new, tuple(ranked), _line_moves(before, after), changes)


def _publisher_moves(
    currency: str,
    was: Mapping[str, Statement],
    now: Mapping[str, Statement],
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


def _line_moves(before: Mapping[Key, Statement], after: Mapping[Key, Statement]) -> tuple[LineMove, ...]:
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


def _line_amounts(statements: Mapping[Key, Statement]) -> dict[tuple[str, str, str | None], int]:
    """Minor units by publisher, currency and source, summed over the pools."""
    amounts: dict[tuple[str, str, str | None], int] = {}
    for (publisher_id, currency), statement in statements.items():
        for line in statement.lines:
            key = (publisher_id, currency, line.source_id)
            amounts[key] = amounts.get(key, 0) + line.amount_minor
    return amounts


def _period(statements: Statements, which: str) -> str:
    periods = sorted({statement.period for statement in statements})
    if len(periods) != 1:
        raise MoneyError(
            f"The {which} side of a comparison is one period, got {', '.join(periods) or 'none'}. "
            "Settle it first: tribute settle"
        )
    return str(periods[0])


def _check_policy(policy: Policy | None, statements: Sequence[Statement]) -> None:
    if policy is not None and any(each.policy.sha256 != policy.sha256 for each in statements):
        raise MoneyError(
            f"Policy {policy.name} version {policy.version} is not the policy of the later period. "
            "Pass the policy that its statements name"
        )


def _of_currency(statements: Mapping[Key, Statement], currency: str) -> dict[str, Statement]:
    return {name: statement for (name, code), statement in statements.items() if code == currency}


def _pool(statements: Mapping[str, Statement]) -> int:
    """All pools of a currency, which every statement of it names."""
    first = next(iter(statements.values()), None)
    return 0 if first is None else sum(pool.pool_amount_minor for pool in first.pools)


def _share(statement: Statement | None) -> Fraction:
    return Fraction(0) if statement is None else Fraction(statement.share)


def _amount(statement: Statement | None) -> int:
    return 0 if statement is None else int(statement.amount_minor)


def _notes(before: Sequence[Statement], after: Sequence[Statement]) -> Iterator[str]:
    old, new = before[0], after[0]
    if old.policy.sha256 != new.policy.sha256:
        yield f"Policy: {_policy_name(old)} before, {_policy_name(new)} after."
    bases = [", ".join(sorted({p.allocation_basis for s in side for p in s.pools})) for side in (before, after)]
    if bases[0] != bases[1]:
        yield f"Basis paid: {bases[0]} before, {bases[1]} after."
    for what, field in (("Model", "model_id"), ("Training run", "train_run"), ("Shrinkage", "shrinkage")):
        if getattr(old, field) != getattr(new, field):
            yield f"{what}: {getattr(old, field)} before, {getattr(new, field)} after."
    if old.quality_certificate != new.quality_certificate:
        certificates = [_quality(side.quality_certificate) for side in (old, new)]
        yield f"Quality: {certificates[0]} before, {certificates[1]} after."
    names = [{statement.publisher_id for statement in side} for side in (before, after)]
    for what, some in (("New", names[1] - names[0]), ("Gone", names[0] - names[1])):
        if some:
            yield f"{what} publishers: {', '.join(sorted(some))}."


def _policy_name(statement: Statement) -> str:
    policy = statement.policy
    return f"{policy.name} version {policy.version} ({policy.sha256[:12]})"


def _quality(certificate: QualityCertificate | None) -> str:
    if certificate is None:
        return "no certificate"
    wrong = plain(100 * Decimal(certificate.misallocated_pool))
    return f"{certificate.certificate_id} ({wrong}% of the pool goes to another payee)"


def _shares_under(
    policy: Policy | None, before: Mapping[str, Statement], after: Mapping[str, Statement]
) -> dict[str, Fraction] | None:
    """The earlier period's shares under the later one's policy, by publisher.

    They are the earlier shares if the policy did not change; None if they cannot be computed: without the policy,
    by customers' fees, which no statement holds, or with limits that the earlier period cannot keep. A publisher
    without sources takes no part.

    Args:
        before, after: statements of one currency by publisher.
    """
    if not before or not after or _policies(before) == _policies(after):
        return {name: Fraction(statement.share) for name, statement in before.items()}
    if policy is None or "user_centric" in policy.weights:
        return None
    claims = [_claim(statement) for statement in before.values() if _has_source(statement)]
    try:
        return allocate_shares(policy, claims).shares() if claims else None
    except PolicyError:
        return None


def _policies(statements: Mapping[str, Statement]) -> set[str]:
    return {statement.policy.sha256 for statement in statements.values()}


def _has_source(statement: Statement) -> bool:
    return any(line.line_type == "source" for line in statement.lines)


def _claim(statement: Statement) -> Claim:
    """The claim behind a statement. The tokens of a source with lines in several pools count once."""
    tokens = {line.source_id: line.tokens for line in statement.lines if line.line_type == "source"}
    interval = statement.interval
    return Claim(
        statement.publisher_id,
        Fraction(statement.value_nats),
        Fraction(interval.ci_low_nats),
        Fraction(interval.ci_high_nats),
        Fraction(sum(tokens.values())),
    )
