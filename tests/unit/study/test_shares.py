"""Rights, policies and pools: exact, or refused."""

from fractions import Fraction
from typing import Any

import pytest

import tribute
from tribute.errors import MoneyError, PolicyError, RightsError


@pytest.fixture(scope="module")
def values(study: tribute.Study, attribution: tribute.Attribution) -> tribute.Values:
    """What the sources were worth."""
    return study.value(attribution, budget=2)


def test_a_source_can_be_split_between_publishers(values: tribute.Values) -> None:
    split = {"a": {"press": "1/3", "radio": "2/3"}, "b": "press", "c": "radio"}
    shares, single = values.shares(split).exact, values.shares().exact
    assert sum(shares.values()) == 1
    assert float(shares["press"]) == pytest.approx(float(single["a"] / 3 + single["b"]), abs=1e-8)


@pytest.mark.parametrize(
    ("rights", "message"),
    [
        ({"a": "press"}, "rights name no publisher of b, c. Give every source of the study a publisher"),
        ({"a": {"press": "1/3"}, "b": "press", "c": "press"}, r"source a: its parts 1/3 sum to 1/3\. Correct"),
        ({"a": {}, "b": "press", "c": "press"}, r"source a: its parts \(none\) sum to 0"),
        ({"a": {"press": 1 / 3, "radio": 2 / 3}, "b": "press", "c": "press"}, "binary number"),
        ({"a": "x", "b": "x", "c": "x", "d": "x"}, "rights name 'd', which is no source"),
    ],
)
def test_rights_that_leave_money_without_an_owner_are_refused(
    values: tribute.Values, rights: dict[str, Any], message: str
) -> None:
    with pytest.raises(RightsError, match=message):
        values.shares(rights)


def test_a_policy_decides(values: tribute.Values) -> None:
    assert set(values.shares(policy={"basis": "equal"}).exact.values()) == {Fraction(1, 3)}
    with pytest.raises(PolicyError, match="Did you mean equal"):
        values.shares(policy={"basis": "equl"})


@pytest.mark.parametrize("pool", ["10000.00", "EUR 10000.00", "10,000.00 EUR", "10000.005 EUR", 10000])
def test_a_pool_that_is_not_exact_is_refused(values: tribute.Values, pool: Any) -> None:
    with pytest.raises(MoneyError):
        values.shares().allocate(pool)


def test_a_payout_prints_every_payee_and_the_pool(values: tribute.Values) -> None:
    text = str(values.shares().allocate("100.01 EUR"))
    assert text.splitlines()[0] == "100.01 EUR over 3 payees"
    assert all(f"\n{source} " in text for source in "abc")
