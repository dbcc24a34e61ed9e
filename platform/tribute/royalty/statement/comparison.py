"""Comparison of two periods from their statements: every difference split into exact parts by cause."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Literal

from tribute.errors import MoneyError, PolicyError
from tribute.ids import SHOWN, listed
from tribute.royalty.account.restatement import Key, Statements, by_publisher
from tribute.royalty.division.allocation import Claim, allocate_shares
from tribute.royalty.division.policy import Policy, policy_from_json
from tribute.royalty.document import QualityCertificate, Statement
from tribute.royalty.exact.money import Money
from tribute.royalty.exact.text import plain

Cause = Literal["usage", "measurements", "prior"]
Shares = Mapping[str, Fraction]

_UNSEPARATED = "The values' part cannot be told from the terms' part: both stand under terms."


@dataclass(frozen=True)
class ValueChange:
    """How shares got from the earlier values to the later ones under the earlier terms.

    ``steps``: the shares after each change of one cause, in order; none: the causes cannot be told apart.
    ``notes``: the reason, or what changed.
    """

    steps: tuple[tuple[Cause, Shares], ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class PublisherMove:
    """A publisher's amounts in one currency, minor units.

    after - before = usage + measurements + prior + values + terms + rounding. With P the pools, s the shares, and
    m those of the later values under the earlier terms: the first four are P times the steps from s to m;
    `values` is all of it where the causes cannot be told apart. terms = P' s' - P m: rights, policy and pool. Each
    is rounded half to even; rounding is the rest, a few units at most.
    """

    publisher_id: str
    currency: str
    before_minor: int
    after_minor: int
    usage_minor: int = 0
    measurements_minor: int = 0
    prior_minor: int = 0
    values_minor: int = 0
    terms_minor: int = 0
    rounding_minor: int = 0

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
    """Other changes: queries, rights, policy, pool, quality, model; and parts that could not be separated."""
    causes_known: bool = True
    """Whether usage, measurements and prior are told apart; otherwise their sum stands under values."""


def compare(before_statements: Statements, after_statements: Statements, change: ValueChange) -> Comparison:
    """Compare the statements of two periods.

    Args:
        change: of the values. Without steps they are one part. Where the policy changed too and shares under the
            earlier one do not follow from the statements (the basis user_centric), that part stands under terms,
            and a note says so.

    Raises:
        MoneyError: no statements, several periods on one side, or two statements of one publisher and currency.
    """
    old, new = _period(before_statements, "earlier"), _period(after_statements, "later")
    before, after = by_publisher(before_statements), by_publisher(after_statements)
    moves: list[PublisherMove] = []
    notes = [*_notes(before_statements, after_statements), *change.notes]
    for currency in sorted({currency for _, currency in before.keys() | after.keys()}):
        was, now = _of_currency(before, currency), _of_currency(after, currency)
        if _pool(was) != _pool(now):
            money = [Money(_pool(side), currency).text() for side in (was, now)]
            notes.append(f"Pool: {money[0]} before, {money[1]} after.")
        steps: Sequence[tuple[str, Shares]] = change.steps
        if not steps and (valued := _later_values_under_earlier_policy(was, now)) is not None:
            steps = (("values", valued),)
        elif not steps and _UNSEPARATED not in notes:
            notes.append(_UNSEPARATED)
        moves += _publisher_moves(currency, was, now, steps)
    ranked = sorted(moves, key=lambda move: (-abs(move.change_minor), move.publisher_id, move.currency))
    return Comparison(old, new, tuple(ranked), _line_moves(before, after), tuple(notes), bool(change.steps))


def _publisher_moves(
    currency: str,
    was: Mapping[str, Statement],
    now: Mapping[str, Statement],
    steps: Sequence[tuple[str, Shares]],
) -> Iterator[PublisherMove]:
    pool_before, pool_after = _pool(was), _pool(now)
    for name in sorted(was.keys() | now.keys()):
        share, exact = _share(was.get(name)), dict.fromkeys(("terms", *(cause for cause, _ in steps)), Fraction(0))
        for cause, shares in steps:
            moved = shares.get(name, Fraction(0))
            exact[cause] += pool_before * (moved - share)
            share = moved
        exact["terms"] = pool_after * _share(now.get(name)) - pool_before * share
        parts = {f"{cause}_minor": round(part) for cause, part in exact.items()}
        first, last = _amount(was.get(name)), _amount(now.get(name))
        rest = last - first - sum(parts.values())
        yield PublisherMove(name, currency, first, last, **parts, rounding_minor=rest)


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
    uses = [max(statement.usage_count for statement in side) for side in (before, after)]
    if uses[0] != uses[1]:
        yield f"Queries: {uses[0]:,} before, {uses[1]:,} after."
    if moved := _rights(before) ^ _rights(after):
        yield f"Rights: other parts of {listed(sorted({source for source, *_ in moved}), characters=SHOWN)}."
    if old.quality_certificate != new.quality_certificate:
        certificates = [_quality(side.quality_certificate) for side in (old, new)]
        yield f"Quality: {certificates[0]} before, {certificates[1]} after."
    names = [{statement.publisher_id for statement in side} for side in (before, after)]
    for what, some in (("New", names[1] - names[0]), ("Gone", names[0] - names[1])):
        if some:
            yield f"{what} publishers: {', '.join(sorted(some))}."


def _rights(statements: Sequence[Statement]) -> set[tuple[str, str, Fraction]]:
    """Source, publisher and its part, of every line."""
    return {
        (line.source_id, statement.publisher_id, Fraction(line.split))
        for statement in statements
        for line in statement.lines
        if line.line_type == "source"
    }


def _policy_name(statement: Statement) -> str:
    policy = statement.policy
    return f"{policy.name} version {policy.version} ({policy.sha256[:12]})"


def _quality(certificate: QualityCertificate | None) -> str:
    if certificate is None:
        return "no certificate"
    wrong = plain(100 * Decimal(certificate.misallocated_pool))
    return f"{certificate.certificate_id} ({wrong}% of the pool goes to another payee)"


def _later_values_under_earlier_policy(
    before: Mapping[str, Statement], after: Mapping[str, Statement]
) -> dict[str, Fraction] | None:
    """The later period's shares under the earlier one's policy, by publisher.

    They are the later shares if the policy did not change; None if they cannot be computed: with a policy that
    another release wrote, by customers' fees, which no statement holds, or with limits that the period cannot
    keep. A publisher without sources takes no part.

    Args:
        before, after: statements of one currency by publisher.
    """
    if not before or not after or _policies(before) == _policies(after):
        return {name: Fraction(statement.share) for name, statement in after.items()}
    claims = [_claim(statement) for statement in after.values() if _has_source(statement)]
    policy = readable_policy(next(iter(before.values())))
    if policy is None or "user_centric" in policy.weights or not claims:
        return None
    try:
        return allocate_shares(policy, claims).shares()
    except PolicyError:
        return None


def readable_policy(statement: Statement) -> Policy | None:
    """The policy of a statement; None if another release of tribute words it differently."""
    try:
        return policy_from_json(statement.policy.model_dump(exclude={"sha256"}))
    except PolicyError:
        return None


def _policies(statements: Mapping[str, Statement]) -> set[str]:
    """The rules, whatever they are called and in which words they are written."""
    named = {"name", "version", "text", "sha256"}
    return {statement.policy.model_dump_json(exclude=named) for statement in statements.values()}


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
