"""The policy: how signed values become shares, as a named, versioned and hashed record that binds the payer."""

import difflib
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from fractions import Fraction
from typing import Any, get_args

from tribute.errors import PolicyError
from tribute.royalty.document import Basis, Fallback, PolicyRecord
from tribute.royalty.exact.canonical import canonical_json
from tribute.royalty.exact.text import exact_fraction

BASES: tuple[str, ...] = get_args(Basis)
FALLBACKS: tuple[str, ...] = get_args(Fallback)
_OF_VALUES = {"attribution", "user_centric"}
_LIMITS = ("cap", "floor", "customer_cap")
_SUM = (
    " A publisher's value is the sum over its sources, by its part of each, gains and losses together. A sum "
    "below zero counts as zero. It is never a debt."
)
_VALUES = (
    "The value of a source is what the model's answers of the period lose in log-likelihood (nats) if the model "
    "is trained without it: from the beginning, or from a checkpoint on. The statement says which. A part of "
    "every value goes by training tokens alone; the statement gives it as the weight of tokens, from 0 to 1."
    + _SUM
)
_FORMER_VALUES = (
    "The value of a source is what the model's answers of the period would have lost in log-likelihood (nats) had "
    "the source been absent from its training. It is drawn towards the source's share of the training tokens by "
    "the shrinkage stated." + _SUM
)
"""The words of earlier releases: periods that were closed with them are verified by them."""
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


@dataclass(frozen=True)
class Policy:
    """A rule of division. Its text is generated from its fields, so text and computation cannot disagree.

    Raises:
        PolicyError: the fields contradict each other, or a number is inexact or out of range.
    """

    name: str
    version: str = "1"
    basis: Basis = "attribution"
    blend: Mapping[str, Fraction] = field(default_factory=dict, hash=False)
    """Basis and weight; the weights sum to 1. Only with the basis `blend`."""
    fallback: Fallback = "token_count"
    """Basis where nobody has a value above zero."""
    noise_floor: bool = False
    cap: Fraction | None = None
    floor: Fraction | None = None
    customer_cap: Fraction | None = None

    def __post_init__(self) -> None:
        for name in ("name", "version"):
            value = getattr(self, name)
            if not isinstance(value, str) or not value.strip():
                raise PolicyError(f"policy.{name} is {value!r}. Write it as text, in quotes")
        _check_choice("basis", self.basis, BASES)
        _check_choice("fallback", self.fallback, FALLBACKS)
        for limit in _LIMITS:
            _check_limit(limit, getattr(self, limit))
        if self.cap is not None and self.floor is not None and self.floor > self.cap:
            raise PolicyError(f"policy.floor {self.floor} is above policy.cap {self.cap}. Lower the floor")
        _check_blend(self.basis, self.blend)
        if not isinstance(self.noise_floor, bool):
            raise PolicyError(f"policy.noise_floor is {self.noise_floor!r}. Write true or false")
        if self.noise_floor and not _OF_VALUES & set(self.weights):
            raise PolicyError(
                f"policy.noise_floor needs values with intervals, the basis is {self.basis}. "
                "Remove it, or use the basis attribution, user_centric or a blend with one of them"
            )

    @property
    def weights(self) -> Mapping[str, Fraction]:
        """Every basis that takes part, with its weight; they sum to 1."""
        return dict(sorted(self.blend.items())) if self.blend else {self.basis: Fraction(1)}

    @property
    def text(self) -> str:
        """The rule in plain English, for those who are paid by it."""
        return " ".join(_sentences(self, _VALUES))

    @property
    def wordings(self) -> tuple[str, ...]:
        """The texts that this release, and those before it, wrote for these fields; the newest first."""
        return tuple(dict.fromkeys(" ".join(_sentences(self, values)) for values in (_VALUES, _FORMER_VALUES)))

    @property
    def sha256(self) -> str:
        """Hash of the canonical JSON of all fields and the text."""
        return hashlib.sha256(canonical_json(policy_json(self))).hexdigest()


def policy_json(policy: Policy) -> dict[str, Any]:
    """Every field and the text, JSON-ready: parts as exact text, such as 1/3."""
    limits = {name: getattr(policy, name) for name in _LIMITS}
    return {
        "name": policy.name,
        "version": policy.version,
        "basis": policy.basis,
        "blend": {basis: str(weight) for basis, weight in sorted(policy.blend.items())},
        "fallback": policy.fallback,
        "noise_floor": policy.noise_floor,
        **{name: None if limit is None else str(limit) for name, limit in limits.items()},
        "text": policy.text,
    }


def policy_record(policy: Policy) -> PolicyRecord:
    """The policy as statements and bundles show it."""
    return PolicyRecord(**policy_json(policy), sha256=policy.sha256)


def policy_from_json(written: Mapping[str, Any]) -> Policy:
    """The policy that `policy_json` wrote.

    Raises:
        PolicyError: a field is wrong, or the text is not of this version of tribute, nor of an earlier one.
    """
    policy = parse_policy({name: value for name, value in written.items() if name != "text"})
    if written.get("text", policy.text) not in policy.wordings:
        raise PolicyError(
            f"The text of policy {policy.name} version {policy.version} is not what this tribute writes for its "
            "fields. Read it with the version of tribute that wrote it, or issue the policy under a new version"
        )
    return policy


def parse_policy(section: Mapping[str, Any]) -> Policy:
    """The policy of a section of project.yaml; an empty section is the default policy.

    Numbers are text such as `"1/3"` or short decimals such as 0.25. A policy without a name is called by its
    basis.

    Raises:
        PolicyError: an unknown key, or a value that cannot be used; names key and remedy.
    """
    if not section:
        return DEFAULT_POLICY
    known = [each.name for each in fields(Policy)]
    for key in section:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            hint = f"Did you mean {near[0]}?" if near else f"Known here: {', '.join(known)}"
            raise PolicyError(f"policy.{key} is unknown. {hint}")
    given = {key: value for key, value in section.items() if value is not None}
    for limit in _LIMITS:
        if limit in given:
            given[limit] = _number(f"policy.{limit}", given[limit])
    blend = given.get("blend", {})
    if not isinstance(blend, Mapping):
        raise PolicyError(f"policy.blend is {blend!r}. Write a basis and its weight per line")
    given["blend"] = {str(basis): _number(f"policy.blend.{basis}", weight) for basis, weight in blend.items()}
    given["basis"] = given.get("basis", "blend" if blend else "attribution")
    given["name"] = given.get("name", str(given["basis"]))
    return Policy(**given)


def _number(where: str, value: object) -> Fraction:
    try:
        return exact_fraction(value)
    except ValueError as problem:
        raise PolicyError(f"{where}: {problem}") from None


def _check_choice(key: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        near = difflib.get_close_matches(str(value), choices, n=1)
        hint = f"Did you mean {near[0]}?" if near else f"Use one of {', '.join(choices)}"
        raise PolicyError(f"policy.{key} {value!r} is unknown. {hint}")


def _check_limit(key: str, limit: Fraction | None) -> None:
    if limit is not None and not (isinstance(limit, Fraction) and 0 < limit <= 1):
        raise PolicyError(f"policy.{key} is {limit!r}. Use an exact part above 0, at most 1: Fraction(1, 4)")


def _check_blend(basis: str, blend: Mapping[str, Fraction]) -> None:
    if basis != "blend" and blend:
        raise PolicyError(f"policy.blend is given, but the basis is {basis}. Remove it, or use the basis blend")
    if basis == "blend" and len(blend) < 2:
        raise PolicyError("policy.blend needs two bases or more, such as attribution: '0.7', equal: '0.3'")
    for name, weight in blend.items():
        _check_choice("blend", name, BASES[:-1])
        if not isinstance(weight, Fraction) or weight <= 0:
            raise PolicyError(f"policy.blend.{name} is {weight!r}. Use an exact weight above 0: Fraction(7, 10)")
    if blend and sum(blend.values()) != 1:
        raise PolicyError(f"The weights of policy.blend sum to {sum(blend.values())}, not to 1. Correct one")


def _sentences(policy: Policy, values: str) -> Iterator[str]:
    of_values = {"attribution", "user_centric"} & set(policy.weights)
    if of_values:
        yield values
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


def _basis(policy: Policy) -> Iterator[str]:
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


def _limits(policy: Policy) -> Iterator[str]:
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


DEFAULT_POLICY = Policy("attribution-clip-aggregate", "3")
