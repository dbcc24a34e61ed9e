"""The period's CSV: every line, and a foot that shows a cut-off file."""

import csv
import io
from decimal import Decimal

from tests.golden.statement_cases import settled
from tribute.royalty import period_csv


def test_lines_sum_to_the_foot() -> None:
    *lines, foot = csv.DictReader(io.StringIO(period_csv(settled("kwd"))))
    assert [row["record_type"] for row in lines] == ["LINE"] * 6
    assert sum(int(row["amount_minor"]) for row in lines) == int(foot["amount_minor"]) == 3_210_987
    assert sum(Decimal(row["amount"]) for row in lines) == Decimal(foot["amount"]) == Decimal("3210.987")
    assert (foot["record_type"], foot["line_id"]) == ("FOOT", "6 lines in 3 statements")


def test_text_cannot_run_as_a_formula() -> None:
    statements = settled("eur")
    statements[0]["publisher_name"] = "=HYPERLINK(1)"
    rows = list(csv.DictReader(io.StringIO(period_csv(statements))))
    assert rows[0]["publisher_name"] == "'=HYPERLINK(1)"
    assert rows[2]["value_nats"] == "-2.25"
