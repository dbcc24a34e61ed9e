"""Each alarm at its limit and just above it."""

from dataclasses import replace
from fractions import Fraction as F

import pytest

from tribute.errors import MoneyError
from tribute.royalty.alarms import DEFAULT_LIMITS, AlarmLimits, alarms, concentration, flooding, jumps


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


def test_one_of_several_customers_floods() -> None:
    uses = {"ada": 25, "bob": 25, "eve": 25, "zoe": 25}
    assert flooding(uses) == flooding({"only": 9}) == flooding({"idle": 0, "more": 0}) == []
    [found] = flooding(uses | {"zoe": 26})
    assert (found.subject, found.figure) == ("zoe", F(26, 101))
    assert "made 26 of 101 uses" in found.text


def test_what_is_not_given_is_not_checked() -> None:
    shares = {"a": F(9, 10), "b": F(1, 10)}
    assert [each.code for each in alarms(shares)] == ["concentration", "top_share"]
    codes = [each.code for each in alarms(shares, {"a": F(1, 10), "b": F(9, 10)}, {"ada": 9, "bob": 1})]
    assert codes == ["concentration", "top_share", "jump", "jump", "flooding"]


def test_limits_are_exact() -> None:
    with pytest.raises(MoneyError, match=r"alarms.jump is 0.1. Use an exact part"):
        AlarmLimits(jump=0.1)  # type: ignore[arg-type]
