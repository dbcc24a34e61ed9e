"""What a policy says to a publisher: short sentences made from its fields, in the order of the computation."""

from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tribute.royalty.division.policy import Policy

_VALUES = (
    "The value of a source is what the model's answers of the period would have lost in log-likelihood (nats) had "
    "the source been absent from its training. It is drawn towards the source's share of the training tokens by "
    "the shrinkage stated. A publisher's value is the sum over its sources, by its part of each, gains and losses "
    "together. A sum below zero counts as zero. It is never a debt."
)
_RULES = {
    "attribution": "A publisher's share is its value divided by the sum of all values above zero.",
    "token_count": "A publisher's share is its training tokens divided by the training tokens of all publishers.",
    "equal": "All publishers have the same share.",
    "user_centric": (
        "Each customer's fee is divided by the values of the publishers in that customer's own questions; values "
        "below zero count as zero. A publisher's share is its part of all fees."
    ),
}
_FALLBACKS = {
    "token_count": "among all publishers by training tokens, or equally if there are none",
    "equal": "equally among all publishers",
}
_UNITS = (
    "Money is divided in whole minor units by largest remainder, ties to the smaller publisher id, so the amounts "
    "sum to the pool. A larger pool can cost a publisher one minor unit by this rounding."
)


def policy_text(policy: "Policy") -> str:
    """The rule in plain English; two policies that divide differently have different texts."""
    return " ".join(_sentences(policy))


def _sentences(policy: "Policy") -> Iterator[str]:
    of_values = {"attribution", "user_centric"} & set(policy.weights)
    if of_values:
        yield _VALUES
    if policy.customer_cap is not None:
        yield _customer_cap(policy.customer_cap)
    yield from _basis(policy)
    if of_values:
        whom = "no publisher has a value above zero"
        case = f"for a customer {whom}" if of_values == {"user_centric"} else whom
        both = " in the whole period, or for a customer," if len(of_values) == 2 else ","
        yield f"Where {case}{both} what would be divided by value is unattributed."
    if policy.noise_floor:
        yield (
            "A publisher whose interval reaches down to zero or below is not paid by its value: what its value "
            "would have brought is unattributed."
        )
    if "token_count" in policy.weights:
        yield "Without any training tokens, what would be divided by them is unattributed."
    if set(policy.weights) != {"equal"}:
        yield f"The unattributed part is divided {_FALLBACKS[policy.fallback]}. It is shown apart."
    yield from _limits(policy)
    yield _UNITS
    if of_values:
        yield (
            "What a publisher earns by its value is divided over its sources by their values above zero; this "
            "moves no money between publishers."
        )


def _basis(policy: "Policy") -> Iterator[str]:
    if not policy.blend:
        yield _RULES[policy.basis]
        return
    yield "The pool is divided in fixed parts."
    for basis, weight in policy.weights.items():
        yield f"{weight} of it by {basis}: {_RULES[basis]}"


def _customer_cap(cap: Fraction) -> str:
    return (
        f"One customer stands for at most {cap} of the period's uses: above that, each of its uses counts less. "
        "With too few customers for this, all customers count alike."
    )


def _limits(policy: "Policy") -> Iterator[str]:
    if policy.cap is not None:
        yield (
            f"No publisher gets more than {policy.cap} of the pool. What is above goes to the others that have a "
            "share, in proportion to their shares."
        )
    if policy.floor is not None:
        yield (
            f"A publisher that has a share gets at least {policy.floor} of the pool, at the cost of the others in "
            "proportion to their shares. A publisher without a share gets nothing."
        )
    if policy.cap is not None or policy.floor is not None:
        yield "If this cannot be kept in a period, the period is not paid until the policy is changed."
