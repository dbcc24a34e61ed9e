"""The agreements file in three formats, and every way in which it can be wrong."""

from datetime import date
from fractions import Fraction
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from tests.unit.royalty.terms.files import write
from tribute.errors import RightsError
from tribute.royalty.account.agreement import Agreement
from tribute.royalty.terms.agreements import read_agreements

HEAD = (
    "publisher_id,agreement_id,currency,rate,advance,advance_period,minimum_guarantee,payout_threshold,"
    "reserve_rate,reserve_months,withholding_rate,accounting_period,valid_from,valid_to\n"
)
GOOD = HEAD + (
    "aurora,A-7,EUR,2/3,1000.00,2026-02,50,25.50,0.1,6,0.15,quarter,2026-01-01,2027-01-01\n"
    "aurora,A-7,EUR,,500,2026-01,,,,,,,2026-01-01,2027-01-01\n"
    "borealis,,JPY,,,,,5000,,,,,,\n"
)
EXPECTED = (
    Agreement(
        "aurora", "EUR", "A-7", Fraction(2, 3), (("2026-01", 50_000), ("2026-02", 100_000)), 5000, 2550,
        Fraction(1, 10), 6, Fraction(3, 20), "quarter", date(2026, 1, 1), date(2027, 1, 1),
    ),
    Agreement("borealis", "JPY", threshold_minor=5000),
)  # fmt: skip


def test_rows_of_one_agreement_sum_up_its_advances(tmp_path: Path) -> None:
    assert read_agreements(write(tmp_path, GOOD)) == EXPECTED
    assert read_agreements(write(tmp_path, GOOD), ["aurora", "borealis"]) == EXPECTED


def test_three_formats_give_the_same_agreements(tmp_path: Path) -> None:
    cells = [line.split(",") for line in GOOD.splitlines()]
    rows = [{key: cell or None for key, cell in zip(cells[0], row, strict=True)} for row in cells[1:]]
    parquet = tmp_path / "agreements.parquet"
    pq.write_table(pa.Table.from_pylist(rows), parquet)
    assert read_agreements(parquet) == read_agreements(write(tmp_path, yaml.safe_dump(rows), "a.yaml")) == EXPECTED


def test_yaml_numbers_and_days_are_read(tmp_path: Path) -> None:
    text = "- {publisher_id: p, currency: KWD, rate: 0.25, payout_threshold: 10.5, valid_from: 2026-01-01}\n"
    [terms] = read_agreements(write(tmp_path, text, "a.yaml"))
    assert (terms.rate, terms.threshold_minor, terms.valid_from) == (Fraction(1, 4), 10_500, date(2026, 1, 1))


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ("p,,EURO,,,,,,,,,,,", "line 2, column currency: Currency 'EURO' is not an ISO 4217 code"),
        (",,EUR,,,,,,,,,,,", "line 2, column publisher_id is empty"),
        ("p,,EUR,1.5,,,,,,,,,,", "column rate: 1.5 is not between 0 and 1. Write 12% as 0.12"),
        ("p,,EUR,x,,,,,,,,,,", "column rate: 'x' is not a number such as"),
        ("p,,EUR,,10.005,2026-01,,,,,,,,", "column advance: Amount '10.005' has 3 decimals, EUR has 2"),
        ("p,,EUR,,10,,,,,,,,,", "columns advance and advance_period belong together"),
        ("p,,EUR,,10,2026-1,,,,,,,,", "Period '2026-1' is not a month"),
        (
            "p,,EUR,,10,2026-01,,,,,,,2026-02-01,",
            "column advance_period: the agreement is not in force in 2026-01",
        ),
        ("p,,EUR,,,,-5,,,,,,,", "column minimum_guarantee: Amount '-5' is negative"),
        ("p,,EUR,,,,,,0.1,,,,,", "column reserve_months is empty"),
        ("p,,EUR,,,,,,0.1,six,,,,", "column reserve_months: 'six' is not a whole number. Write it as 6"),
        ("p,,EUR,,,,,,,,,week,,", "accounting_period is week. It must be one of month, quarter, year"),
        ("p,,EUR,,,,,,,,,,2026-01-15,", "valid_from is 2026-01-15. It must be the first day of a month"),
        (
            "p,,EUR,1/2,5,2026-01,,,,,,,,\np,,EUR,1/3,5,2026-02,,,,,,,,",
            "line 3, column rate says another thing than line 2",
        ),
        (
            "p,,EUR,,5,2026-01,,,,,,,,\np,,EUR,,9,2026-01,,,,,,,,",
            "line 3 repeats the advance of 2026-01 of line 2",
        ),
        ("p,,EUR,,,,,,,,,,,\np,,EUR,,,,,,,,,,,", "line 3 repeats line 2 without an advance"),
        (
            "p,a,EUR,,,,,,,,,,,\np,b,EUR,,,,,,,,,,,",
            "line 3: p has another agreement in EUR at the same time (line 2)",
        ),
        ("agancy,,EUR,,,,,,,,,,,", "agancy is no known publisher. Did you mean agency?"),
    ],
)
def test_bad_rows_are_told_by_row_and_column(tmp_path: Path, rows: str, told: str) -> None:
    path = write(tmp_path, HEAD + rows + "\n")
    with pytest.raises(RightsError) as raised:
        read_agreements(path, ["p", "agency"])
    assert str(raised.value).startswith(f"{path} cannot be used:")
    assert told in str(raised.value)


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    text = "- {publisher_id: p, currency: EUR, rate: 1e-1, advance: 1}\n- {publisher_id: q, currency: no}\n"
    with pytest.raises(RightsError) as raised:
        read_agreements(write(tmp_path, text, "a.yaml"))
    assert "entry 1, column rate: '1e-1' is not a number" in str(raised.value)
    assert "entry 2, column currency: Currency 'no' is not an ISO 4217 code" in str(raised.value)


@pytest.mark.parametrize("amount", ["1_000", "1,000", "1e3", "12:30", "0x10", "9" * 25, "1" * 5000, "+1e2", "١٢"])
def test_amounts_in_another_writing_are_refused(tmp_path: Path, amount: str) -> None:
    text = f"- {{publisher_id: p, currency: EUR, payout_threshold: '{amount}'}}"
    with pytest.raises(RightsError, match=r"column payout_threshold: Amount"):
        read_agreements(write(tmp_path, text, "a.yaml"))


def test_zeros_in_front_of_an_amount_are_decimal(tmp_path: Path) -> None:
    text = "- {publisher_id: p, currency: EUR, payout_threshold: 010000, reserve_months: 010, agreement_id: 010}"
    [terms] = read_agreements(write(tmp_path, text, "a.yaml"))
    assert (terms.threshold_minor, terms.reserve_months, terms.agreement_id) == (1_000_000, 10, "010")


@pytest.mark.parametrize(
    ("column", "meant"),
    [("guarantee", "minimum_guarantee"), ("treshold", "payout_threshold"), ("until", "valid_to"), ("tax", "")],
)
def test_a_column_that_nobody_knows_is_refused(tmp_path: Path, column: str, meant: str) -> None:
    with pytest.raises(RightsError, match=f"unknown column {column}. .*{meant}"):
        read_agreements(write(tmp_path, f"publisher_id,currency,{column}\np,EUR,5\n"))


def test_a_misspelt_column_is_told(tmp_path: Path) -> None:
    with pytest.raises(RightsError, match=r"unknown column payout_treshold. Did you mean payout_threshold"):
        read_agreements(write(tmp_path, "publisher_id,currency,payout_treshold\np,EUR,5\n"))


def test_an_empty_text_is_an_empty_cell_in_every_format(tmp_path: Path) -> None:
    cells = {"publisher_id": "aurora", "currency": "EUR", "agreement_id": "", "accounting_period": ""}
    path = tmp_path / "agreements.yaml"
    path.write_text(yaml.safe_dump([cells]))
    assert read_agreements(path) == (Agreement("aurora", "EUR"),)
