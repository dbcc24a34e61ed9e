"""A payer that signs what it likes still has to divide the pools by the shares that it prints."""

from fractions import Fraction

import pytest

from tests.unit.royalty.issued import statements
from tribute.royalty.proof.recompute.pools import pool_problems


def told(issued: list[dict]) -> list[str]:
    return [f"{problem.place}: {problem.text}" for problem in pool_problems(issued)]


def test_an_honest_division_has_no_problem() -> None:
    assert told(statements()) == []


def test_money_of_one_publisher_given_to_another_is_found() -> None:
    issued = statements(pools=(("EUR", "pool", 2_000),))
    issued[0]["lines"][0]["amount_minor"] -= 100
    issued[1]["lines"][0]["amount_minor"] += 100
    found = told(issued)
    assert [text.partition(":")[0] for text in found] == [
        "statements[0].amount_minor",
        "statements[1].amount_minor",
    ]
    assert "its share of 1000 is" in found[0]


@pytest.mark.parametrize("share", ["5/4", "-1/4"])
def test_shares_are_parts_of_one(share: str) -> None:
    issued = statements(pools=(("EUR", "pool", 2_000),))
    issued[0]["share"] = str(Fraction(share))
    assert "are not one part of 1 for each publisher" in told(issued)[0]


def test_a_pool_is_the_same_on_every_statement() -> None:
    issued = statements(pools=(("EUR", "pool", 2_000),))
    issued[1]["pools"][0] |= {"gross_revenue_minor": 4_000, "royalty_rate": "1/4"}
    assert [text.partition(":")[0] for text in told(issued)] == [
        "statements[1].pools[0].gross_revenue_minor",
        "statements[1].pools[0].royalty_rate",
    ]
