"""A policy's fields, its text and its hash, and every way in which a section of project.yaml can be wrong."""

import hashlib
from dataclasses import fields, replace
from fractions import Fraction
from typing import Any

import pytest

from tribute.errors import PolicyError
from tribute.royalty.division.policy import DEFAULT_POLICY, Policy, parse_policy, policy_from_json, policy_json
from tribute.royalty.exact.canonical import canonical_json

HALVES = {"attribution": Fraction(1, 2), "equal": Fraction(1, 2)}
FULL = Policy(
    "full",
    "3",
    "blend",
    HALVES,
    "equal",
    True,
    cap=Fraction(1, 2),
    floor=Fraction(1, 50),
    customer_cap=Fraction(1, 9),
)
CHANGED: dict[str, dict[str, Any]] = {
    "name": {"name": "other"},
    "version": {"version": "4"},
    "basis": {"basis": "attribution", "blend": {}},
    "blend": {"blend": {"attribution": Fraction(2, 3), "equal": Fraction(1, 3)}},
    "fallback": {"fallback": "token_count"},
    "noise_floor": {"noise_floor": False},
    "cap": {"cap": Fraction(2, 3)},
    "floor": {"floor": None},
    "customer_cap": {"customer_cap": Fraction(1, 10)},
}


def test_every_field_is_in_the_hash_and_every_rule_in_the_text() -> None:
    assert set(CHANGED) == {each.name for each in fields(Policy)}
    changed = [FULL, *(replace(FULL, **change) for change in CHANGED.values())]
    assert len({policy.sha256 for policy in changed}) == len(changed)
    assert len({policy.text for policy in changed}) == len(changed) - 2  # a name and a version change no rule


def test_the_hash_of_the_default_is_known() -> None:
    """A change of this hash is a change of what payers have committed themselves to: a new version."""
    assert (DEFAULT_POLICY.name, DEFAULT_POLICY.version) == ("attribution-clip-aggregate", "3")
    assert (DEFAULT_POLICY.basis, DEFAULT_POLICY.fallback, DEFAULT_POLICY.noise_floor) == (
        "attribution", "token_count", False
    )  # fmt: skip
    assert DEFAULT_POLICY.sha256 == "3387de484e6b0568c7b866587f5f8bba6f62160acbb844e3acbd959bf9d99ef5"


def test_the_text_of_version_2_is_known_for_the_periods_that_were_closed_with_it() -> None:
    former = policy_json(replace(DEFAULT_POLICY, version="2")) | {"text": DEFAULT_POLICY.wordings[1]}
    hashed = hashlib.sha256(canonical_json(former)).hexdigest()
    assert hashed == "df08fc60ae245f6aa60ecee4e82498112af0736b64d1a464244552745d494c74"
    assert policy_from_json(former) == replace(DEFAULT_POLICY, version="2")
    assert Policy("equal", basis="equal").wordings == (Policy("equal", basis="equal").text,)


def test_the_text_says_what_is_done() -> None:
    text = DEFAULT_POLICY.text
    assert "A sum below zero counts as zero. It is never a debt." in text
    assert "A publisher's share is its value divided by the sum of all values above zero." in text
    assert "divided among all publishers by training tokens, or equally" in text
    assert not any(word in text for word in ("interval", "customer", "at most", "at least"))
    assert "No publisher gets more than 1/2 of the pool." in FULL.text
    assert "1/2 of it by equal: All publishers have the same share." in FULL.text
    assert "One customer stands for at most 1/9 of the period's uses" in FULL.text


def test_no_sentence_is_long() -> None:
    sentences = [each for policy in (DEFAULT_POLICY, FULL) for each in policy.text.split(". ")]
    assert max(len(sentence.split()) for sentence in sentences) <= 36


def test_a_section_is_read_exactly() -> None:
    section = {
        "name": "full", "version": "3", "blend": {"attribution": "0.5", "equal": 0.5}, "fallback": "equal",
        "noise_floor": True, "cap": "1/2", "floor": 0.02, "customer_cap": "1/9",
    }  # fmt: skip
    assert parse_policy(section) == FULL
    assert parse_policy({}) == DEFAULT_POLICY
    assert parse_policy({"basis": "equal", "cap": None}) == Policy("equal", basis="equal")
    assert hash(parse_policy(section)) == hash(FULL)


@pytest.mark.parametrize(
    ("section", "told"),
    [
        ({"base": "equal"}, "policy.base is unknown. Did you mean basis?"),
        ({"zzz": 1}, "policy.zzz is unknown. Known here: name, version, basis"),
        ({"basis": "atribution"}, "policy.basis 'atribution' is unknown. Did you mean attribution?"),
        ({"fallback": "zero"}, "policy.fallback 'zero' is unknown. Use one of token_count, equal"),
        ({"version": 2}, "policy.version is 2. Write it as text, in quotes"),
        ({"name": " "}, "policy.name is ' '"),
        ({"cap": 0.3333333333}, "policy.cap: 0.3333333333 is a binary number that hides its exact part"),
        ({"cap": "40%"}, "policy.cap: '40%' is not a number such as"),
        ({"cap": "0"}, "policy.cap is Fraction(0, 1). Use an exact part above 0"),
        ({"cap": "3/2"}, "policy.cap is Fraction(3, 2)"),
        ({"cap": "1/5", "floor": "1/4"}, "policy.floor 1/4 is above policy.cap 1/5. Lower the floor"),
        ({"noise_floor": "yes"}, "policy.noise_floor is 'yes'. Write true or false"),
        ({"basis": "equal", "noise_floor": True}, "policy.noise_floor needs values with intervals"),
        ({"basis": "equal", "blend": {"equal": "1"}}, "policy.blend is given, but the basis is equal"),
        ({"blend": {"equal": "1"}}, "policy.blend needs two bases"),
        ({"blend": "equal"}, "policy.blend is 'equal'. Write a basis and its weight per line"),
        ({"blend": {"equal": "1/2", "blend": "1/2"}}, "policy.blend 'blend' is unknown"),
        ({"blend": {"equal": "1/2", "attribution": "1/3"}}, "sum to 5/6, not to 1. Correct one"),
        ({"blend": {"equal": "1", "attribution": "0"}}, "policy.blend.attribution is Fraction(0, 1)"),
    ],
)
def test_bad_sections_are_told_with_the_remedy(section: dict[str, Any], told: str) -> None:
    with pytest.raises(PolicyError) as raised:
        parse_policy(section)
    assert told in str(raised.value)


def test_inexact_numbers_are_refused() -> None:
    with pytest.raises(PolicyError, match=r"policy.cap is 0.5. Use an exact part"):
        Policy("p", cap=0.5)  # type: ignore[arg-type]


def test_json_keeps_everything_and_knows_its_text() -> None:
    assert policy_from_json(policy_json(FULL)) == FULL
    assert policy_json(FULL)["blend"] == {"attribution": "1/2", "equal": "1/2"}
    with pytest.raises(PolicyError, match="is not what this tribute writes for its fields"):
        policy_from_json(policy_json(FULL) | {"text": "We pay what we like."})
