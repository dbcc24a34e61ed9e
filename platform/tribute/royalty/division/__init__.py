"""How a pool is divided: the policy, caps and floors, largest remainders."""

from tribute.royalty.division.allocation import Claim, allocate_shares
from tribute.royalty.division.limits import customer_weights
from tribute.royalty.division.policy import (
    DEFAULT_POLICY,
    Policy,
    parse_policy,
    policy_from_json,
    policy_json,
    policy_record,
)

__all__ = [
    "DEFAULT_POLICY",
    "Claim",
    "Policy",
    "allocate_shares",
    "customer_weights",
    "parse_policy",
    "policy_from_json",
    "policy_json",
    "policy_record",
]
