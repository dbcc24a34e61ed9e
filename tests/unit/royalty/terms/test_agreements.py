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


def test_all_problems_are_told_at_once_and_a_binary_number_is_refused(tmp_path: Path) -> None:
    text = (
        "- {publisher_id: p, currency: EUR, rate: 0.3333333333, advance: 1}\n- {publisher_id: q, currency: no}\n"
    )
    with pytest.raises(RightsError) as raised:
        read_agreements(write(tmp_path, text, "a.yaml"))
    assert "entry 1, column rate: 0.3333333333 is a binary number" in str(raised.value)
    assert "entry 2, column currency: False was read as bool. Put it in quotes" in str(raised.value)


def test_a_misspelt_column_is_told(tmp_path: Path) -> None:
    with pytest.raises(RightsError, match=r"unknown column payout_treshold. Did you mean payout_threshold"):
        read_agreements(write(tmp_path, "publisher_id,currency,payout_treshold\np,EUR,5\n"))
