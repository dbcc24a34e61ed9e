"""Shares of lines recomputed from values, amounts of lines from their shares, what counts from values."""

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from tribute.royalty.exact.money import allocate
from tribute.royalty.proof.recompute.statement import differs
from tribute.royalty.proof.shapes import within
from tribute.royalty.proof.strict_json import Problem
from tribute.royalty.statement.lines import OF_TOKENS, UNATTRIBUTED

Document = Mapping[str, Any]
Lines = Sequence[tuple[int, Document]]
PRINTED = Fraction(1, 10**8)
"""Part of the sum of some numbers by which they may miss each other: nats are printed with nine digits."""
_OF_POOL = {"line_id", "pool_id", "amount_minor", "amount"}
_ZERO = Fraction(0)


def share_problems(statement: Document, place: str = "") -> Iterator[Problem]:
    """Where values, shares and amounts of a statement and its lines do not follow from each other.

    A value counts as far as it is above 0, and is the sum of the lines of each pool, within what the printed
    digits allow. A line's share is the statement's attributed part by the lines' counted values (by tokens where
    tokens were paid or nothing counts), or its unattributed part; all of a pool sum to the statement's share.
    Amounts of a pool go by these shares, by largest remainder.

    Args:
        place: path of the statement, such as `statements[2]`; a statement by itself has none.
    """
    yield from _counted(statement, place)
    of_pool: dict[str, list[tuple[int, Document]]] = {pool["pool_id"]: [] for pool in statement["pools"]}
    for index, line in enumerate(statement["lines"]):
        at = within(place, f"lines[{index}]")
        if line["source_id"] == "":
            yield Problem(f"{at}.source_id", "is empty, expected the id of a source")
        if line["source_id"] is not None:
            yield from _counted(line, at)
        of_pool.setdefault(line["pool_id"], []).append((index, line))
    basis = {pool["pool_id"]: pool["allocation_basis"] for pool in statement["pools"]}
    first = next(iter(of_pool.values()), [])
    for pool_id, lines in of_pool.items():
        yield from _sums(statement, lines, pool_id, place)
        yield from _repeated(first, lines, place)
        yield from _shares(statement, lines, basis.get(pool_id, ""), pool_id, place)
        yield from _amounts(lines, pool_id, place)


def _counted(record: Document, place: str) -> Iterator[Problem]:
    value, counted = record["value_nats"], record["attribution_payable_nats"]
    if Fraction(counted) != max(Fraction(value), _ZERO):
        text = f"is {counted[:60]}, value_nats is {value[:60]}: what is above 0 of it counts"
        yield Problem(within(place, "attribution_payable_nats"), text)


def _sums(statement: Document, lines: Lines, pool_id: str, place: str) -> Iterator[Problem]:
    for name in ("attribution_signed_nats", "value_nats"):
        own = Fraction(statement[name])
        values = [Fraction(line[name]) for _, line in lines if line["source_id"] is not None]
        if abs(sum(values) - own) > PRINTED * (sum(map(abs, values)) + abs(own)):
            text = f"is {statement[name][:60]}, which is not the sum of the lines of pool {pool_id}"
            yield Problem(within(place, name), text)


def _repeated(first: Lines, lines: Lines, place: str) -> Iterator[Problem]:
    """Whether every pool has the sources of the first, with all that does not depend on the pool."""
    sources = {line["source_id"]: line for _, line in first}
    if sources.keys() != {line["source_id"] for _, line in lines}:
        yield Problem(within(place, "lines"), "are of other sources in one pool than in another")
    for index, line in lines:
        other = sources.get(line["source_id"], line)
        for name in line.keys() - _OF_POOL:
            if line[name] != other[name]:
                text = "is another than on the line of this source of the first pool"
                yield Problem(within(place, f"lines[{index}].{name}"), text)


def _shares(statement: Document, lines: Lines, basis: str, pool_id: str, place: str) -> Iterator[Problem]:
    share = Fraction(statement["share"])
    if sum((Fraction(line["share"]) for _, line in lines), _ZERO) != share:
        text = f"of pool {pool_id} have shares that do not sum to the statement's, {statement['share'][:60]}"
        yield Problem(within(place, "lines"), text)
    attributed, unattributed = (Fraction(statement["parts"][name]) for name in ("attributed", "unattributed"))
    whole = attributed + unattributed
    scale = share / whole if whole else _ZERO
    weights = _weights([line for _, line in lines if line["source_id"] is not None], basis)
    total = sum(weights, _ZERO)
    by_source = iter(weights)
    for index, line in lines:
        part = unattributed if line["source_id"] is None else attributed * next(by_source) / total
        if Fraction(line["share"]) != part * scale:
            text = f"is {line['share'][:60]}, which does not follow from parts, values and tokens"
            yield Problem(within(place, f"lines[{index}].share"), text)


def _weights(sources: Sequence[Document], basis: str) -> list[Fraction]:
    """What each source's line counts for, above 0 in all if there is one; as `statement_lines` divides."""
    counted = [max(Fraction(line["value_nats"]), _ZERO) for line in sources]
    if basis in OF_TOKENS or not any(counted):
        counted = [Fraction(line["tokens"]) for line in sources]
    return counted if any(counted) else [Fraction(1)] * len(counted)


def _amounts(lines: Lines, pool_id: str, place: str) -> Iterator[Problem]:
    shares = {line["source_id"] or UNATTRIBUTED: Fraction(line["share"]) for _, line in lines}
    paid, total = sum(line["amount_minor"] for _, line in lines), sum(shares.values(), _ZERO)
    if len(shares) < len(lines) or paid < 0 or any(share < 0 for share in shares.values()):
        text = f"of pool {pool_id} are not each source once, with a share and a sum of at least 0"
        yield Problem(within(place, "lines"), text)
        return
    due = allocate(paid, {name: share / total for name, share in shares.items()}) if total else {}
    for index, line in lines:
        expected = due.get(line["source_id"] or UNATTRIBUTED, 0)
        why = f"its share of the {paid} of pool {pool_id}, by largest remainder"
        yield from differs(within(place, f"lines[{index}].amount_minor"), line["amount_minor"], expected, why)
