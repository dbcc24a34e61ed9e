"""The printed policy applied again to the printed values: a payer cannot divide by other shares and sign that."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from tests.statements import statements
from tests.unit.royalty.proof.forger import Plain, facts_of, plain, typed
from tribute.royalty.division.allocation import Allocation, Claim, ShareParts, allocate_shares
from tribute.royalty.division.policy import Policy
from tribute.royalty.document import Statement
from tribute.royalty.proof.bundle import build_bundle, with_proofs
from tribute.royalty.proof.recompute.period import division_problems, pool_problems, split_problems
from tribute.royalty.proof.signing import new_key
from tribute.royalty.proof.verify import check_bundle, check_statement
from tribute.royalty.statement import build as building

PEM, _ = new_key()
HALF, FEES = Fraction(1, 2), {"customer-1": Fraction(3), "customer-2": Fraction(1)}
ALONE = Policy("a")
POLICIES = (
    ALONE,
    Policy("n", noise_floor=True),
    Policy("t", basis="token_count"),
    Policy("e", basis="equal"),
    Policy("c", cap=HALF, floor=Fraction(1, 5)),
    Policy("b", basis="blend", blend={"attribution": HALF, "equal": HALF}, noise_floor=True, fallback="equal"),
    Policy("u", basis="user_centric", noise_floor=True, cap=HALF),
    Policy("m", basis="blend", blend={"user_centric": HALF, "token_count": HALF}),
)
named = pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.name)


def issued(policy: Policy, **changes: Any) -> list[Statement]:
    """Three publishers under a policy; the last one's interval reaches down to zero."""
    fees = FEES if "user_centric" in policy.weights else None
    return statements(policy=policy, fees=fees, **changes)


def found(made: list[Statement]) -> tuple[set[str], set[str]]:
    """Places that a signed bundle and its statements, each by itself, have wrong."""
    bundle = build_bundle(facts_of(made[0]), made, PEM)
    alone = {each.place for one in with_proofs(bundle, made) for each in check_statement(one)}
    return {each.place for each in check_bundle(bundle)}, alone


def misdivided(monkeypatch: pytest.MonkeyPatch, policy: Policy, name: str, moved: Fraction) -> list[Statement]:
    """Statements that hold together, with a part of the first publisher's share given to the second."""

    def divide(own: Policy, claims: Sequence[Claim], fees: Mapping[str, Fraction]) -> Allocation:
        honest = allocate_shares(own, claims, fees)
        (first, one), (second, other), *rest = honest.parts.items()
        changed = {first: _less(one, name, moved), second: _less(other, name, -moved)}
        return replace(honest, parts=dict(sorted((changed | dict(rest)).items())))

    monkeypatch.setattr(building, "allocate_shares", divide)  # a settlement that lies
    return issued(policy)


def _less(part: ShareParts, name: str, moved: Fraction) -> ShareParts:
    return replace(part, **{name: getattr(part, name) - moved})


@named
def test_an_honest_division_holds(policy: Policy) -> None:
    assert found(issued(policy)) == (set(), set())
    if policy.cap is None:
        assert found(issued(policy, publishers=("alone",))) == (set(), set())


@named
@pytest.mark.parametrize("name", ["attributed", "moved"])
def test_another_division_is_found(monkeypatch: pytest.MonkeyPatch, policy: Policy, name: str) -> None:
    """What user_centric attributes cannot be recomputed, but what it moves can."""
    bundle, alone = found(misdivided(monkeypatch, policy, name, Fraction(1, 1000)))
    if name == "attributed" and "user_centric" in policy.weights:
        assert policy.cap is not None or not bundle
        return
    assert f"statements[0].parts.{name}" in bundle
    assert not any(place.endswith(".share") or "lines" in place for place in bundle)
    if policy.cap is None and (name == "moved" or policy.basis == "attribution"):
        assert f"parts.{name}" in alone


def test_an_unattributed_part_divided_otherwise_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = Policy("u", basis="user_centric", noise_floor=True)
    bundle, _ = found(misdivided(monkeypatch, policy, "unattributed", Fraction(1, 1000)))
    assert "statements[0].parts.unattributed" in bundle


def test_where_nothing_counts_the_fallback_is_paid_and_checked() -> None:
    """Of two publishers whose intervals both reach down to zero, tokens decide."""
    made = plain(issued(Policy("n", noise_floor=True, fallback="equal")))
    for statement in made:
        statement["interval"]["ci_low_nats"] = "-1"
    places = {each.place for each in division_problems(typed(made))}
    assert {"statements[0].parts.attributed", "statements[0].pools[0].allocation_basis"} <= places


def test_parts_of_more_than_all_are_one_finding() -> None:
    made = plain(issued(Policy("u", basis="user_centric")))
    made[0]["parts"]["attributed"] = "2"
    problems = division_problems(typed(made))
    messages = [each.message for each in problems if each.place == "statements[0].parts"]
    assert messages == ["cannot be recomputed: attributed parts are below 0, or sum to more than 1"]


def test_the_holders_of_a_source_share_its_value_as_they_share_it() -> None:
    made = plain(issued(ALONE))
    made[2]["lines"][0]["value_nats"] += "1"
    made[2]["lines"][1]["tokens"] += 1000
    made[0]["lines"][0]["split"] = "0"
    places = {each.place for each in split_problems(typed(made))}
    assert {"statements[0].lines[0].split", "statements[2].lines[0].value_nats"} <= places
    assert "statements[2].lines[1].tokens" in places


def pool_messages(made: list[Plain]) -> list[str]:
    return [f"{problem.place}: {problem.message}" for problem in pool_problems(typed(made))]


def test_money_of_one_publisher_given_to_another_is_found() -> None:
    made = plain(statements(pools=(("EUR", "pool", 2_000),)))
    made[0]["lines"][0]["amount_minor"] -= 100
    made[1]["lines"][0]["amount_minor"] += 100
    found = pool_messages(made)
    assert [text.partition(":")[0] for text in found] == [
        "statements[0].amount_minor",
        "statements[1].amount_minor",
    ]
    assert "but its share of 1000 is" in found[0]


@pytest.mark.parametrize("share", ["5/4", "-1/4"])
def test_shares_are_parts_of_one(share: str) -> None:
    made = plain(statements(pools=(("EUR", "pool", 2_000),)))
    made[0]["share"] = str(Fraction(share))
    assert "do not sum to 1, with one share for each publisher" in pool_messages(made)[0]


def test_a_pool_is_the_same_on_every_statement() -> None:
    made = plain(statements(pools=(("EUR", "pool", 2_000),)))
    made[1]["pools"][0] |= {"gross_revenue_minor": 4_000, "royalty_rate": "1/4"}
    assert [text.partition(":")[0] for text in pool_messages(made)] == [
        "statements[1].pools[0].gross_revenue_minor",
        "statements[1].pools[0].royalty_rate",
    ]
