"""The lines of a statement: a publisher's amount of each pool over its sources, and what is unattributed."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Literal, NamedTuple

from tribute.royalty.division.allocation import ShareParts
from tribute.royalty.document import SourceLine, UnattributedLine
from tribute.royalty.exact.money import Money, allocate
from tribute.royalty.exact.text import plain
from tribute.royalty.statement.inputs import LineValue, PublisherValue

UNATTRIBUTED = ""
"""Key of the unattributed line among source ids, which are never empty."""

USE_TYPE: Literal["ai_generation"] = "ai_generation"
OF_TOKENS = ("token_count", "equal")


class PoolMoney(NamedTuple):
    """A publisher's amount of a pool, in minor units."""

    pool_id: str
    minor: int


def statement_lines(
    statement_id: str,
    publisher: PublisherValue,
    part: ShareParts,
    money: Sequence[PoolMoney],
    basis: str,
    currency: str,
) -> list[SourceLine | UnattributedLine]:
    """A line for each pool and source, the best paid first, then one for the unattributed part, if there is one.

    Sources share the attributed part in proportion to their values above zero. If the basis is tokens, or no
    value is above zero, they share it in proportion to their tokens. The lines of a pool sum to its `money` by
    largest remainder.

    Raises:
        MoneyError: the publisher is owed money and has no source.
    """
    shares = _shares(publisher, part, basis)
    lines: list[SourceLine | UnattributedLine] = []
    for pool in money:
        minors = allocate(pool.minor, _weights(shares)) if shares else {}
        lines += [
            _line(statement_id, pool.pool_id, each, shares[each.source_id], minors[each.source_id], currency)
            for each in sorted(publisher.lines, key=lambda one: (-minors[one.source_id], one.source_id))
        ]
        if shares.get(UNATTRIBUTED):
            lines.append(
                _unattributed(statement_id, pool.pool_id, shares[UNATTRIBUTED], minors[UNATTRIBUTED], currency)
            )
    return lines


def _shares(publisher: PublisherValue, part: ShareParts, basis: str) -> dict[str, Fraction]:
    """Each line's part of a pool; the parts sum to the publisher's share."""
    if not publisher.lines:
        return {}
    positive = {line.source_id: Fraction(max(line.value_nats, Decimal(0))) for line in publisher.lines}
    if basis in OF_TOKENS or not any(positive.values()):
        positive = {line.source_id: Fraction(line.tokens) for line in publisher.lines}
    if not any(positive.values()):
        positive = dict.fromkeys(positive, Fraction(1))
    before = part.attributed + part.unattributed
    scale = part.share / before if before else Fraction(0)
    total = sum(positive.values())
    shares = {name: part.attributed * scale * weight / total for name, weight in positive.items()}
    return shares | {UNATTRIBUTED: part.unattributed * scale}


def _weights(shares: Mapping[str, Fraction]) -> Mapping[str, Fraction]:
    total = sum(shares.values(), Fraction(0))
    if not total:
        return dict.fromkeys(shares, Fraction(1, len(shares)))  # of nothing
    return {name: share / total for name, share in shares.items()}


def _line(
    statement_id: str, pool_id: str, line: LineValue, share: Fraction, minor: int, currency: str
) -> SourceLine:
    return SourceLine(
        line_id=f"{statement_id}:{pool_id}:{line.source_id}",
        line_type="source",
        pool_id=pool_id,
        source_id=line.source_id,
        title=line.title,
        license=line.license,
        terms=dict(line.terms),
        split=str(line.split),
        use_type=USE_TYPE,
        usage_count=line.usage_count,
        tokens=line.tokens,
        attribution_signed_nats=plain(line.attribution_signed_nats),
        value_nats=plain(line.value_nats),
        attribution_payable_nats=plain(max(line.value_nats, Decimal(0))),
        ci_low_nats=plain(line.ci_low_nats),
        ci_high_nats=plain(line.ci_high_nats),
        share=str(share),
        amount_minor=minor,
        amount=Money(minor, currency).text(),
    )


def _unattributed(statement_id: str, pool_id: str, share: Fraction, minor: int, currency: str) -> UnattributedLine:
    return UnattributedLine(
        line_id=f"{statement_id}:{pool_id}:{UNATTRIBUTED}",
        line_type="unattributed",
        pool_id=pool_id,
        source_id=None,
        title=None,
        license=None,
        terms={},
        split=None,
        use_type=USE_TYPE,
        usage_count=None,
        tokens=None,
        attribution_signed_nats=None,
        value_nats=None,
        attribution_payable_nats=None,
        ci_low_nats=None,
        ci_high_nats=None,
        share=str(share),
        amount_minor=minor,
        amount=Money(minor, currency).text(),
    )
