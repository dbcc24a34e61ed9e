"""The policy applied again, over all statements of a period: shares from values, and values of shared sources."""

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from tribute.errors import MoneyError, PolicyError
from tribute.royalty.division.allocation import Allocation, Claim, ShareParts, allocate_shares
from tribute.royalty.division.limits import limited
from tribute.royalty.division.policy import Policy
from tribute.royalty.proof.recompute.shares import PRINTED
from tribute.royalty.proof.recompute.statement import differs, policy_of
from tribute.royalty.proof.strict_json import Problem

Document = Mapping[str, Any]
Numbered = Sequence[tuple[int, Document]]
_PARTS = ("attributed", "unattributed", "moved")
_OF_SPLIT = ("attribution_signed_nats", "value_nats", "ci_low_nats", "ci_high_nats")


def division_problems(statements: Sequence[Document]) -> Iterator[Problem]:
    """Parts of a share and bases that the printed policy does not give for the printed values and tokens.

    What `user_centric` attributes rests on customers' fees and values, which no statement prints: it is taken as
    it is, and what the fallback, cap and floor make of it is computed.

    Args:
        statements: of one period and policy.
    """
    for active in _by_currency(statements):
        first, policy = active[0][0], active[0][1]["policy"]
        try:
            due = _divided(policy_of(policy), [statement for _, statement in active])
        except (MoneyError, PolicyError, ValueError) as error:  # ValueError: a sum of more digits than can be told
            yield Problem(f"statements[{first}].parts", f"cannot be computed again: {error}")
            continue
        for number, statement in active:
            part, place = due.parts[statement["publisher_id"]], f"statements[{number}]"
            for name in _PARTS:
                told = statement["parts"][name]
                if Fraction(told) != getattr(part, name):
                    text = f"is {told[:60]}, which is not what the policy makes of the values of all statements"
                    yield Problem(f"{place}.parts.{name}", text)
            for index, pool in enumerate(statement["pools"]):
                at, why = f"{place}.pools[{index}].allocation_basis", "what the policy paid by"
                yield from differs(at, pool["allocation_basis"], due.basis, why)


def split_problems(statements: Sequence[Document]) -> Iterator[Problem]:
    """Sources whose splits do not sum to 1, or whose holders' values and tokens are not as their splits."""
    for active in _by_currency(statements):
        held: dict[str, list[tuple[str, Document]]] = {}
        for number, statement in active:
            for index, line in _source_lines(statement):
                held.setdefault(line["source_id"], []).append((f"statements[{number}].lines[{index}]", line))
        for source_id, lines in held.items():
            place, first = lines[0]
            if sum(Fraction(line["split"]) for _, line in lines) != 1:
                text = f"is {first['split'][:60]}, and all splits of source {source_id} do not sum to 1"
                yield Problem(f"{place}.split", text)
            for at, line in lines[1:]:
                yield from _unlike(at, line, place, first)


def _unlike(at: str, line: Document, place: str, first: Document) -> Iterator[Problem]:
    """Two holders of a source: value x the other's split is the same, within what the printed digits allow."""
    split, other = Fraction(line["split"]), Fraction(first["split"])
    for name in _OF_SPLIT:
        # Whole numbers over one denominator: fractions would be brought to lowest terms ten times a line.
        (own, own_of), (theirs, theirs_of) = (Fraction(each[name]).as_integer_ratio() for each in (line, first))
        own *= other.numerator * theirs_of * split.denominator
        theirs *= split.numerator * own_of * other.denominator
        if abs(own - theirs) > PRINTED * (abs(own) + abs(theirs)):
            yield Problem(f"{at}.{name}", f"is {line[name][:60]}, another value of the source than in {place}")
    if abs(line["tokens"] * other - first["tokens"] * split) > (split + other) / 2:
        yield Problem(f"{at}.tokens", f"is {line['tokens']}, other tokens of the source than in {place}")


def _by_currency(statements: Sequence[Document]) -> Iterator[Numbered]:
    """The statements of each currency that has a pool, of publishers with a source, each with its number."""
    active = [
        (number, statement)
        for number, statement in enumerate(statements)
        if statement["pools"] and any(True for _ in _source_lines(statement))
    ]
    for currency in sorted({statement["currency"] for _, statement in active}):
        yield [each for each in active if each[1]["currency"] == currency]


def _source_lines(statement: Document) -> Iterator[tuple[int, Document]]:
    """A line per source, with its index: those of the first pool, which all other pools repeat."""
    pool_id = statement["pools"][0]["pool_id"]
    for index, line in enumerate(statement["lines"]):
        if line["source_id"] is not None and line["pool_id"] == pool_id:
            yield index, line


def _divided(policy: Policy, statements: Sequence[Document]) -> Allocation:
    claims = [_claim(statement) for statement in statements]
    if "user_centric" not in policy.weights:
        return allocate_shares(policy, claims)
    attributed = {each["publisher_id"]: Fraction(each["parts"]["attributed"]) for each in statements}
    rest = 1 - sum(attributed.values(), Fraction(0))
    if rest < 0 or min(attributed.values()) < 0:
        raise MoneyError("attributed parts are below 0, or sum to more than 1")
    fallback = allocate_shares(Policy("fallback", basis=policy.fallback, fallback="equal"), claims)
    before = {name: part + rest * fallback.parts[name].share for name, part in attributed.items()}
    bounded = policy.cap is not None or policy.floor is not None
    after = limited(before, policy.cap, policy.floor) if bounded else before
    parts = {
        name: ShareParts(part, before[name] - part, after[name] - before[name])
        for name, part in attributed.items()
    }
    return Allocation(parts, rest, fallback.basis if rest == 1 else policy.basis)


def _claim(statement: Document) -> Claim:
    interval = statement["interval"]
    return Claim(
        statement["publisher_id"],
        Fraction(statement["value_nats"]),
        Fraction(interval["ci_low_nats"]),
        Fraction(interval["ci_high_nats"]),
        Fraction(sum(line["tokens"] for _, line in _source_lines(statement))),
    )
