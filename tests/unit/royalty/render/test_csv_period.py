"""The period's CSV: every line and account, and a foot that shows a cut-off file."""

import csv
import io
import re
from decimal import Decimal

import pytest

from tests.statements import RECOUNTED, account, drafts, revised, settled
from tribute.errors import MoneyError
from tribute.royalty.document import Adjustment
from tribute.royalty.render.csv_period import BALANCE_ITEMS, period_csv


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


@pytest.mark.parametrize(("currency", "minor", "amount"), [("KWD", 3_210_987, "3210.987"), ("JPY", 5_001, "5001")])
def test_lines_sum_to_the_foot(currency: str, minor: int, amount: str) -> None:
    rows = rows_of(period_csv(drafts(currency, main=minor)))
    lines = [row for row in rows if row["record_type"] == "LINE"]
    foot = rows[-1]
    assert len(lines) == 3 + 1 + 1 + 3
    assert sum(int(row["amount_minor"]) for row in lines) == int(foot["amount_minor"]) == minor
    assert sum(Decimal(row["amount"]) for row in lines) == Decimal(foot["amount"]) == Decimal(amount)
    assert (foot["record_type"], foot["note"]) == ("FOOT", "53 rows of 3 statements above")
    assert len(rows) == 53 + 1


def test_every_statement_has_its_whole_account() -> None:
    first, *others = drafts()
    late = Adjustment(reason="=late", adjusts_statement_id="v1", amount_minor=-5)
    changed = revised(first, {"balance": account(791_667, [late], withholding_tax_rate="1/10")})
    rows = [row for row in rows_of(period_csv([changed, *others])) if row["record_type"] == "BALANCE"]
    assert [row["item"] for row in rows] == [item.removesuffix("_minor") for item in BALANCE_ITEMS] * 3
    told = {row["item"]: row for row in rows[: len(BALANCE_ITEMS)]}
    assert told["amount_paid"]["amount"] == "7124.96"
    assert told["prior_period_adjustment"]["note"] == "'=late (v1): -5"
    assert told["withholding_tax"]["note"] == "rate 1/10"


def test_a_restated_period_says_so_on_every_row_and_pays_nothing() -> None:
    rows = rows_of(period_csv(settled("2026-11", values=RECOUNTED, version=2)))[:-1]
    assert {row["restates_statement_version"] for row in rows} == {"1"}
    told = {row["item"] for row in rows if row["record_type"] == "BALANCE" and row["amount_minor"] != "0"}
    assert told == {"royalty_allocated", "royalty_earned"}
    assert {row["restates_statement_version"] for row in rows_of(period_csv(drafts()))} == {""}


def test_every_pool_has_a_foot() -> None:
    rows = rows_of(period_csv(drafts(main=100, licences=7) + drafts("JPY", main=9)))
    feet = [(row["pool_id"], row["currency"], row["amount_minor"]) for row in rows if row["record_type"] == "FOOT"]
    assert feet == [("main", "EUR", "100"), ("licences", "EUR", "7"), ("main", "JPY", "9")]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "＝", " =", "\t=", "\r\n="])
def test_text_cannot_run_as_a_formula(start: str) -> None:
    first, *others = drafts()
    evil = revised(first, {"publisher_name": f"{start}HYPERLINK(1)"})
    rows = rows_of(period_csv([evil, *others]))
    assert re.fullmatch(r"' *[=+@＝-]HYPERLINK\(1\)", rows[0]["publisher_name"])
    assert rows[2]["value_nats"] == "-2.25"


def test_no_name_begins_a_row_of_its_own() -> None:
    """A lone carriage return is a row's end to spreadsheets, and is not quoted by Python's csv."""
    first, *others = drafts()
    text = period_csv([revised(first, {"publisher_name": "a\r=1+1\n=2+2"}), *others])
    assert "\r" not in text
    assert rows_of(text)[0]["publisher_name"] == "a =1+1 =2+2"


def test_terms_stand_in_one_cell_and_nothing_is_written_that_does_not_foot() -> None:
    first, *others = drafts()
    declared = revised(first, {"lines.0.terms": {"rsl": "ai-train", "a": "ü"}})
    assert rows_of(period_csv([declared, *others]))[0]["terms"] == '{"a": "ü", "rsl": "ai-train"}'
    with pytest.raises(MoneyError):
        period_csv(others)
