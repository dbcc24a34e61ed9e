"""Shares computed again from statements, to see what a policy alone would have changed."""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from tribute.errors import PolicyError
from tribute.royalty.division.allocation import Claim, allocate_shares
from tribute.royalty.division.policy import Policy


def shares_under(
    policy: Policy | None, before: Mapping[str, Mapping[str, Any]], after: Mapping[str, Mapping[str, Any]]
) -> dict[str, Fraction] | None:
    """The earlier period's shares under the later one's policy, by publisher.

    They are the earlier shares if the policy did not change; None if they cannot be computed: without the policy,
    by customers' fees, which no statement holds, or with limits that the earlier period cannot keep. A publisher
    without sources takes no part.

    Args:
        before, after: statements of one currency by publisher.
    """
    if not before or not after or _policies(before) == _policies(after):
        return {name: Fraction(statement["share"]) for name, statement in before.items()}
    if policy is None or "user_centric" in policy.weights:
        return None
    claims = [_claim(statement) for statement in before.values() if _has_source(statement)]
    try:
        return allocate_shares(policy, claims).shares() if claims else None
    except PolicyError:
        return None


def _policies(statements: Mapping[str, Mapping[str, Any]]) -> set[str]:
    return {statement["policy"]["sha256"] for statement in statements.values()}


def _has_source(statement: Mapping[str, Any]) -> bool:
    return any(line["source_id"] is not None for line in statement["lines"])


def _claim(statement: Mapping[str, Any]) -> Claim:
    """The numbers of a statement; a source that stands on the lines of several pools counts its tokens once."""
    tokens = {line["source_id"]: line["tokens"] for line in statement["lines"] if line["source_id"] is not None}
    interval = statement["interval"]
    return Claim(
        statement["publisher_id"],
        Fraction(statement["value_nats"]),
        Fraction(interval["ci_low_nats"]),
        Fraction(interval["ci_high_nats"]),
        Fraction(sum(Fraction(count) for count in tokens.values())),
    )
