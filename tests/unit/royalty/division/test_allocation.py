"""Shares under each basis, and the defined outcomes where a basis divides nothing."""

from fractions import Fraction as F

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tribute.errors import MoneyError, PolicyError
from tribute.royalty.division.allocation import UNITS, Claim, ShareParts, allocate_shares
from tribute.royalty.division.policy import DEFAULT_POLICY, Policy
from tribute.royalty.exact.money import allocate


def claim(name: str, value: int, margin: int = 0, tokens: int = 0, **by_customer: int) -> Claim:
    own = {customer: F(nats) for customer, nats in by_customer.items()}
    return Claim(name, F(value), F(value - margin), F(value + margin), F(tokens), own)


ABC = [claim("c", -4, 1, tokens=50), claim("a", 6, 2, tokens=30), claim("b", 2, 3, tokens=20)]


def test_attribution_pays_values_above_zero() -> None:
    told = allocate_shares(DEFAULT_POLICY, ABC)
    assert told.shares() == {"a": F(3, 4), "b": F(1, 4), "c": 0}
    assert (told.basis, told.unattributed, list(told.parts)) == ("attribution", 0, ["a", "b", "c"])


def test_tokens_and_equal_parts() -> None:
    assert allocate_shares(Policy("t", basis="token_count"), ABC).shares() == {
        "a": F(3, 10), "b": F(1, 5), "c": F(1, 2)
    }  # fmt: skip
    assert set(allocate_shares(Policy("e", basis="equal"), ABC).shares().values()) == {F(1, 3)}


def test_a_noise_floor_leaves_unattributed_what_it_cannot_tell_from_zero() -> None:
    """b's interval is -1 to 5: its 1/4 goes to all by tokens."""
    told = allocate_shares(Policy("n", noise_floor=True), ABC)
    assert told.unattributed == F(1, 4)
    assert told.parts["a"] == ShareParts(F(3, 4), F(3, 40), F(0))
    assert told.parts["b"] == ShareParts(F(0), F(1, 20), F(0))
    assert told.parts["c"] == ShareParts(F(0), F(1, 8), F(0))


def test_a_customers_fee_follows_its_own_questions() -> None:
    """Ada (9) used only a; Bob (3) used a and b alike; Eve's (4) questions were helped by nobody: by tokens."""
    claims = [claim("a", 5, tokens=1, ada=4, bob=1), claim("b", 1, tokens=3, ada=-7, bob=1, eve=-1)]
    told = allocate_shares(Policy("u", basis="user_centric"), claims, {"ada": F(9), "bob": F(3), "eve": F(4)})
    assert told.parts["a"] == ShareParts(F(9, 16) + F(3, 32), F(1, 16), F(0))
    assert told.parts["b"] == ShareParts(F(3, 32), F(3, 16), F(0))
    assert (told.unattributed, told.basis) == (F(1, 4), "user_centric")


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.fractions(-3, 9, max_denominator=997), min_size=1),
    st.dictionaries(st.sampled_from("xyz"), st.fractions(0, 20, max_denominator=100), min_size=1),
)
def test_fees_are_divided_as_by_largest_remainder_and_within_a_unit_of_the_exact_part(
    values: dict[str, F], fees: dict[str, F]
) -> None:
    """Every customer asked the same of the same publishers, some more than others: fractions say what is right."""
    scales = {customer: F(n + 1, 7) for n, customer in enumerate(fees)}
    claims = [
        Claim(name, F(0), F(0), F(0), F(1), {c: value * scale for c, scale in scales.items()})
        for name, value in values.items()
    ]
    told = allocate_shares(Policy("u", basis="user_centric"), claims, fees)
    positive = {name: value for name, value in values.items() if value > 0}
    if not positive or not any(fees.values()):
        assert told.unattributed == 1
        return
    exact = {name: value / sum(positive.values()) for name, value in positive.items()}
    by_units = {name: F(part, UNITS) for name, part in allocate(UNITS, exact).items()}
    assert {name: told.parts[name].attributed for name in positive} == by_units
    assert all(abs(by_units[name] - share) < F(1, UNITS) for name, share in exact.items())


def test_customers_without_a_fee_decide_nothing() -> None:
    claims = [claim("a", 9, free=9), claim("b", 1, ada=1)]
    policy = Policy("u", basis="user_centric")
    assert allocate_shares(policy, claims, {"ada": F(2), "free": F(0)}).shares() == {"a": 0, "b": 1}
    nobody_paid = allocate_shares(policy, claims, {"ada": F(0)})
    assert (nobody_paid.basis, nobody_paid.unattributed) == ("equal", 1)


def test_a_blend_mixes_shares() -> None:
    policy = Policy("mix", basis="blend", blend={"attribution": F(7, 10), "token_count": F(3, 10)})
    told = allocate_shares(policy, ABC)
    assert told.shares() == {"a": F(7, 10) * F(3, 4) + F(9, 100), "b": F(7, 40) + F(6, 100), "c": F(15, 100)}
    assert told.basis == "blend"


def test_where_nobody_helped_the_fallback_is_paid() -> None:
    worse = [claim("a", -1, tokens=3), claim("b", 0, tokens=1)]
    told = allocate_shares(DEFAULT_POLICY, worse)
    assert (told.basis, told.unattributed) == ("token_count", 1)
    assert told.parts == {"a": ShareParts(F(0), F(3, 4), F(0)), "b": ShareParts(F(0), F(1, 4), F(0))}
    assert allocate_shares(Policy("p", fallback="equal"), worse).basis == "equal"


def test_without_values_and_tokens_all_get_the_same() -> None:
    nothing = [claim("a", -1), claim("b", 0)]
    for basis in ("attribution", "token_count"):
        told = allocate_shares(Policy("p", basis=basis), nothing)
        assert (told.basis, told.shares()) == ("equal", {"a": F(1, 2), "b": F(1, 2)})


def test_a_cap_moves_to_the_others_in_proportion() -> None:
    claims = [claim("a", 60), claim("b", 30), claim("c", 10), claim("d", -5)]
    told = allocate_shares(Policy("capped", cap=F(1, 2)), claims)
    assert told.shares() == {"a": F(1, 2), "b": F(3, 8), "c": F(1, 8), "d": 0}
    assert told.parts["a"] == ShareParts(F(3, 5), F(0), F(-1, 10))


def test_a_floor_lifts_those_that_have_a_share() -> None:
    claims = [claim("a", 60), claim("b", 39), claim("c", 1), claim("d", -5)]
    told = allocate_shares(Policy("lifted", floor=F(1, 10)), claims)
    assert told.shares() == {"a": F(60, 99) * F(9, 10), "b": F(39, 99) * F(9, 10), "c": F(1, 10), "d": 0}


def test_limits_that_cannot_be_kept_are_refused() -> None:
    claims = [claim("a", 1), claim("b", 1), claim("c", -1)]
    with pytest.raises(
        PolicyError, match=r"cap 2/5 leaves 1/5 of the pool to nobody: 2 .* at least 1/2, or remove"
    ):
        allocate_shares(Policy("p", cap=F(2, 5)), claims)
    with pytest.raises(PolicyError, match=r"floor 3/5 cannot be paid to 2 publishers .* at most 1/2, or remove"):
        allocate_shares(Policy("p", floor=F(3, 5)), claims)


def test_what_cannot_be_divided_is_refused() -> None:
    with pytest.raises(MoneyError, match=r"each once, got \[\]"):
        allocate_shares(DEFAULT_POLICY, [])
    with pytest.raises(MoneyError, match=r"each once, got \['a', 'a'\]"):
        allocate_shares(DEFAULT_POLICY, [claim("a", 1), claim("a", 2)])
    with pytest.raises(MoneyError, match="user_centric divides customers' fees, got none"):
        allocate_shares(Policy("u", basis="user_centric"), ABC)
    with pytest.raises(MoneyError, match="fee of customer ada is -1, below 0"):
        allocate_shares(DEFAULT_POLICY, ABC, {"ada": F(-1)})
    with pytest.raises(MoneyError, match=r"A number of a is 0.5, which is not exact"):
        Claim("a", 0.5, F(0), F(1), F(0))  # type: ignore[arg-type]
    with pytest.raises(MoneyError, match="Claim of a: tokens -1"):
        claim("a", 1, tokens=-1)
