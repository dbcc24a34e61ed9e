"""Water-filling by hand, and what a use of a customer counts."""

from fractions import Fraction as F

from tribute.royalty.division.limits import customer_weights, limited


def test_cap_and_floor_together() -> None:
    """a is cut to 1/2 and d lifted to 1/10; b and c divide the other 4/10 as 20 to 9."""
    shares = {"a": F(70, 100), "b": F(20, 100), "c": F(9, 100), "d": F(1, 100)}
    assert limited(shares, cap=F(1, 2), floor=F(1, 10)) == {
        "a": F(1, 2), "b": F(4, 10) * F(20, 29), "c": F(4, 10) * F(9, 29), "d": F(1, 10)
    }  # fmt: skip


def test_limits_that_leave_one_division() -> None:
    shares = {"a": F(9, 10), "b": F(1, 10), "c": F(0)}
    halves = {"a": F(1, 2), "b": F(1, 2), "c": F(0)}
    assert limited(shares, cap=F(1, 2)) == limited(shares, floor=F(1, 2)) == halves
    assert limited(shares, cap=F(9, 10), floor=F(1, 10)) == limited(shares) == shares


def test_a_flooding_customer_counts_for_its_cap() -> None:
    """200 + 150 + 50 count as 100 + 100 + 50; with three customers, a cap of a quarter makes all alike."""
    assert customer_weights({"flood": 200, "ada": 150, "bob": 50}, F(2, 5)) == {
        "flood": F(1, 2), "ada": F(2, 3), "bob": F(1)
    }  # fmt: skip
    assert customer_weights({"flood": 900, "ada": 60, "bob": 40}, F(1, 4)) == {
        "flood": F(40, 900), "ada": F(40, 60), "bob": F(1)
    }  # fmt: skip
    assert customer_weights({"ada": 5, "bob": 5}, F(1, 2)) == {"ada": 1, "bob": 1}
    assert customer_weights({"idle": 0}, F(1, 2)) == {"idle": 1}
