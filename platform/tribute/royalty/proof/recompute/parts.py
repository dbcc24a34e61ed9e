"""The parts of a publisher's share, as far as one statement shows how they came about."""

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

from tribute.royalty.proof.shapes import within
from tribute.royalty.proof.strict_json import Problem

Document = Mapping[str, Any]
_OF_VALUES = ("attribution", "user_centric")


def part_problems(statement: Document, place: str = "") -> Iterator[Problem]:
    """Parts of a share, and bases of pools, that contradict the policy and the publisher's own value.

    Without cap and floor nothing is moved. Under `attribution` what is attributed is value / payable, or nothing
    where the noise floor does not let it count. Without a noise floor nothing else is unattributed.

    Args:
        place: path of the statement, such as `statements[2]`; a statement by itself has none.
    """
    attributed = Fraction(statement["parts"]["attributed"])
    for name, expected, why in _expected(statement):
        told = statement["parts"][name]
        if Fraction(told) != expected:
            yield Problem(within(place, f"parts.{name}"), f"is {told[:60]}: {why}")
    for name in ("attributed", "unattributed"):
        if Fraction(statement["parts"][name]) < 0:
            yield Problem(within(place, f"parts.{name}"), f"is {statement['parts'][name][:60]}, below 0")
    if Fraction(statement["payable_nats"]) < Fraction(statement["attribution_payable_nats"]):
        text = f"is {statement['payable_nats'][:60]}, less than what counts of this publisher alone"
        yield Problem(within(place, "payable_nats"), text)
    policy = statement["policy"]
    for index, pool in enumerate(statement["pools"]):
        basis = pool["allocation_basis"]
        fell_back = basis in (policy["fallback"], "equal") and not attributed
        if basis != policy["basis"] and not fell_back:
            text = f"is {basis!r}, expected {policy['basis']!r}, or its fallback where nothing is attributed"
            yield Problem(within(place, f"pools[{index}].allocation_basis"), text)


def _expected(statement: Document) -> Iterator[tuple[str, Fraction, str]]:
    policy, nothing = statement["policy"], Fraction(0)
    if policy["cap"] is None and policy["floor"] is None:
        yield "moved", nothing, "the policy has neither cap nor floor, so that nothing is moved"
    if not any(line["source_id"] is not None for line in statement["lines"]):
        for name in ("attributed", "unattributed"):
            yield name, nothing, "a publisher without a pool or a source has no part in it"
        return
    payable, low = Fraction(statement["payable_nats"]), Fraction(statement["interval"]["ci_low_nats"])
    if policy["noise_floor"] and policy["basis"] in _OF_VALUES and low <= 0:
        yield "attributed", nothing, "the interval reaches down to 0, and the policy has a noise floor"
    elif policy["basis"] == "attribution":
        counted = Fraction(statement["attribution_payable_nats"])
        yield "attributed", counted / payable if payable > 0 else nothing, "expected counted value / payable_nats"
        if payable > 0 and not policy["noise_floor"]:
            yield "unattributed", nothing, "without a noise floor nothing is unattributed where values count"
