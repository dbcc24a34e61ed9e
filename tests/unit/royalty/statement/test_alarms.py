"""Each alarm at its limit and just above it."""

from dataclasses import replace
from fractions import Fraction as F

import pytest

from tribute.errors import MoneyError
from tribute.royalty.statement.alarms import DEFAULT_LIMITS, AlarmLimits, alarms, concentration, flooding, jumps


def test_concentration_is_comparable_for_any_number_of_publishers() -> None:
    equal = {name: F(1, 3) for name in "abc"}
    assert concentration(equal) == concentration({"only": F(1)}) == []
    halves = {"a": F(1, 2), "b": F(1, 2), "c": F(0)}
    index = (F(1, 2) - F(1, 3)) / F(2, 3)
    assert concentration(halves, replace(DEFAULT_LIMITS, concentration=index)) == []
    [found] = concentration(halves, replace(DEFAULT_LIMITS, concentration=index - F(1, 1000)))
    assert (found.code, found.subject, found.figure) == ("concentration", "pool", F(1, 4))
    assert "index 25.0000%" in found.text


def test_the_largest_share() -> None:
    shares = {name: F(1, 10) for name in "abcd"} | {"big": F(6, 10)}
    [found] = concentration(shares, replace(DEFAULT_LIMITS, concentration=F(1)))
    assert (found.code, found.subject, found.figure) == ("top_share", "big", F(6, 10))
    assert found.text == "big gets 60.0000% of the pool, above the limit of 50.0000%"


def test_a_jump_passes_both_limits() -> None:
    before = {"large": F(60, 100), "small": F(2, 100), "gone": F(38, 100)}
    after = {"large": F(80, 100), "small": F(6, 100), "new": F(14, 100)}
    found = {each.subject: each.figure for each in jumps(before, after)}
    assert found == {"gone": F(-38, 100), "new": F(14, 100)}, "large: by a third only; small: by 4 points only"


@pytest.mark.parametrize(
    ("customers", "limit"), [(1, F(3, 2)), (2, F(3, 4)), (3, F(1, 2)), (4, F(3, 8)), (100, F(1, 4))]
)
def test_one_of_several_customers_floods(customers: int, limit: F) -> None:
    """All alike: no alarm. One at the limit: none. One use more: it floods; a single customer never does."""
    others = {f"c{n:03d}": 1000 for n in range(customers - 1)}
    assert flooding(others | {"zoe": 1000}) == flooding(others | {"zoe": 1000, "idle": 0}) == []
    at = round(limit / (1 - limit) * 1000 * (customers - 1)) if others else 10**6
    assert flooding(others | {"zoe": at}) == []
    found = flooding(others | {"zoe": at + 1})
    assert [(each.subject, each.figure) for each in found] == (
        [("zoe", F(at + 1, at + 1 + 1000 * len(others)))] if others else []
    )


def test_what_a_flood_says_and_that_nobody_asked() -> None:
    assert flooding({}) == flooding({"idle": 0, "more": 0}) == []
    [found] = flooding({"ada": 10, "bob": 10, "zoe": 21})
    assert found.text.startswith(
        "Customer zoe made 21 of 41 uses, 51.2195%, above the limit of 50.0000% among 3 cust"
    )
    strict = replace(DEFAULT_LIMITS, customer_part=F(1, 5), customer_ratio=F(1))
    assert [each.subject for each in flooding({"a": 3, "b": 2, "c": 2, "d": 2, "e": 2}, strict)] == ["a"]


def test_what_is_not_given_is_not_checked() -> None:
    shares = {"a": F(9, 10), "b": F(1, 10)}
    assert [each.code for each in alarms(shares)] == ["concentration", "top_share"]
    codes = [each.code for each in alarms(shares, {"a": F(1, 10), "b": F(9, 10)}, {"ada": 9, "bob": 1})]
    assert codes == ["concentration", "top_share", "jump", "jump", "flooding"]


def test_limits_are_exact() -> None:
    with pytest.raises(MoneyError, match=r"alarms.jump is 0.1. Use an exact part"):
        AlarmLimits(jump=0.1)  # type: ignore[arg-type]
    with pytest.raises(MoneyError, match=r"alarms.top_share is 5, which nothing exceeds.*Write 1/2 for 50 %"):
        AlarmLimits(top_share=F(5))
    assert AlarmLimits(top_share=F(1), jump_ratio=F(5)).jump_ratio == 5
