"""The same inputs give the same statements, byte for byte, with the amounts that were worked out by hand."""

import json
from fractions import Fraction

import pytest

from tests.golden.statement_cases import CASES, HERE, REASON, expected_files
from tests.statements import settled
from tribute.royalty.statement import check_period

EXPECTED = expected_files()
Worked = dict[str, int]

WORKED: dict[str, list[Worked]] = {
    "advance": [
        {"amount": 800_000, "granted": 1_000_000, "recouped": 800_000, "unrecouped": 200_000, "paid": 0},
        {"amount": 800_000, "recouped": 200_000, "unrecouped": 0, "due": 600_000, "tax": 90_000, "paid": 510_000},
    ],
    "guarantee": [
        {"amount": 160_000, "earned": 120_000, "shortfall": 0, "paid": 0, "closing": 120_000},
        {"opening": 120_000, "earned": 120_000, "shortfall": 60_000, "paid": 300_000, "closing": 0},
    ],
    "threshold": [
        {"amount": 40_000, "paid": 0, "closing": 40_000},
        {"opening": 40_000, "earned": 40_000, "paid": 80_000, "closing": 0},
    ],
    "negative": [{"amount": 0, "earned": 0, "paid": 0, "closing": 0}] * 2,
    "restatement": [
        {"amount": 800_000, "earned": 800_000, "unrecouped": 200_000},
        {"amount": 720_000, "earned": 720_000, "unrecouped": 0, "due": 0, "paid": 0, "closing": 0},
        {"earned": 800_000, "adjusted": -80_000, "recouped": 200_000, "tax": 78_000, "paid": 442_000},
        {"opening": 120_000, "earned": 120_000, "adjusted": 60_000, "shortfall": 0, "paid": 300_000},
    ],
    "jpy": [
        {"amount": 800_001, "tax": 80_000, "paid": 720_001},
        {"amount": 160_000, "paid": 160_000},
        {"amount": 40_000, "paid": 40_000},
        {"amount": 0, "paid": 0},
    ],
    "kwd": [
        {"amount": 2_568_790, "paid": 2_568_790},
        {"amount": 513_758, "paid": 513_758},
        {"amount": 128_439, "paid": 128_439},
        {"amount": 0, "paid": 0},
    ],
}
"""By hand, from the terms in `statement_cases` and its docstrings; minor units, in the order of the file."""

FIELDS = {
    "amount": "royalty_allocated_minor",
    "opening": "opening_balance_minor",
    "earned": "royalty_earned_minor",
    "adjusted": "prior_period_adjustment_minor",
    "granted": "advance_granted_minor",
    "recouped": "advance_recouped_minor",
    "unrecouped": "unrecouped_advance_minor",
    "shortfall": "minimum_guarantee_shortfall_minor",
    "due": "payable_before_tax_minor",
    "tax": "withholding_tax_minor",
    "paid": "amount_paid_minor",
    "closing": "closing_balance_minor",
}


def recorded(name: str) -> list[dict]:
    """Read from the file alone, as an auditor would."""
    return [json.loads(line) for line in (HERE / f"{name}.json").read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("name", EXPECTED)
def test_statements_are_as_recorded(name: str) -> None:
    assert EXPECTED[name] == (HERE / name).read_text(encoding="utf-8")


def test_no_file_is_left_from_another_time() -> None:
    assert {path.name for path in HERE.glob("*.*") if path.suffix != ".py"} == set(EXPECTED)


@pytest.mark.parametrize("name", CASES)
def test_accounts_are_as_worked_by_hand(name: str) -> None:
    statements = recorded(name)
    found = [
        {short: one["balance"][FIELDS[short]] for short in worked}
        for one, worked in zip(statements, WORKED[name], strict=True)
    ]
    assert found == WORKED[name]


@pytest.mark.parametrize("name", CASES)
def test_amounts_are_the_pool_by_value_over_all_values_counted(name: str) -> None:
    """Oracle: each pool times the statement's own value over `payable_nats`, to within one minor unit."""
    for one in recorded(name):
        pool = sum(each["pool_amount_minor"] for each in one["pools"])
        exact = pool * max(Fraction(one["value_nats"]), Fraction(0)) / Fraction(one["payable_nats"])
        assert abs(one["amount_minor"] - exact) < 1
        assert sum(line["amount_minor"] for line in one["lines"]) == one["amount_minor"]
        positive = sum(max(Fraction(line["value_nats"]), Fraction(0)) for line in one["lines"])
        for line in one["lines"]:
            part = Fraction(line["attribution_payable_nats"]) / positive if positive else 0
            assert abs(line["amount_minor"] - one["amount_minor"] * part) < 1


@pytest.mark.parametrize("name", ["advance", "guarantee", "threshold", "negative"])
def test_a_month_opens_as_the_one_before_was_closed(name: str) -> None:
    november, december = recorded(name)
    assert december["balance"]["opening_balance_minor"] == november["balance"]["closing_balance_minor"]


def test_the_correction_names_its_reason_and_the_statement_that_it_corrects() -> None:
    first, second, *december = recorded("restatement")
    assert (second["statement_version"], second["supersedes_statement_id"]) == (2, first["statement_id"])
    assert (first["restates_statement_version"], second["restates_statement_version"]) == (None, 1)
    moved = {one["publisher_id"]: one["balance"]["adjustments"] for one in december}
    assert moved["aurora"] == [
        {"reason": REASON, "adjusts_statement_id": first["statement_id"], "amount_minor": -80_000}
    ]
    assert moved["borealis"][0]["amount_minor"] == 60_000


def test_whole_months_foot_in_every_currency() -> None:
    pools = {key: money.minor for key, money in check_period(settled("2026-11")).items()}
    assert pools == {("answers", "EUR"): 1_000_000}
    for name, pool, digits in (("jpy", 1_000_001, 0), ("kwd", 3_210_987, 3)):
        statements = recorded(name)
        assert sum(one["amount_minor"] for one in statements) == pool
        assert {one["currency_exponent"] for one in statements} == {digits}
