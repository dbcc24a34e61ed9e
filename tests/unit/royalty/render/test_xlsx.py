"""The period's workbook, read back by openpyxl: exact amounts, inert text, the same bytes."""

import io
import re
import zipfile
from typing import Any

import openpyxl
import pytest

from tests.statements import RECOUNTED, alone, drafts, revised, settled
from tribute.errors import MoneyError
from tribute.royalty.document import Statement
from tribute.royalty.render.xlsx import period_xlsx


def book_of(statements: list[Statement]) -> openpyxl.Workbook:
    return openpyxl.load_workbook(io.BytesIO(period_xlsx(statements)))


def column(sheet: Any, name: str) -> list[Any]:
    at = [cell.value for cell in sheet[1]].index(name)
    return [row[at] for row in sheet.iter_rows(min_row=2)]


def test_sheets_have_frozen_headings_filters_and_widths() -> None:
    book = book_of(drafts())
    assert book.sheetnames == ["Statements", "Lines", "Balances", "Policy"]
    for sheet in book:
        assert (sheet.freeze_panes, sheet.auto_filter.ref) == ("B2", sheet.dimensions)
        assert sheet["A1"].font.bold
        assert 8 < sheet.column_dimensions["A"].width <= 60


@pytest.mark.parametrize(
    ("currency", "minor", "shown"),
    [("EUR", 1_000_000, "#,##0.00"), ("JPY", 995, "#,##0"), ("KWD", 9, "#,##0.000")],
)
def test_amounts_have_their_currencys_digits_and_sum_to_the_pool(currency: str, minor: int, shown: str) -> None:
    statements = drafts(currency, main=minor)
    cells = column(book_of(statements)["Lines"], "amount")
    assert {cell.number_format for cell in cells} == {shown}
    assert all(cell.data_type == "n" for cell in cells)
    digits = 10 ** statements[0].currency_exponent
    assert sum(round(cell.value * digits) for cell in cells) == minor


def test_amounts_are_written_digit_by_digit() -> None:
    """9.95 and its like have no binary form; amounts of more than fifteen digits are text, not rounded."""
    huge = 10**17 + 1
    names = (("a", "1", "0.5", 5),)
    small = alone(names, 995)
    sheet = zipfile.ZipFile(io.BytesIO(period_xlsx([small]))).read("xl/worksheets/sheet1.xml")
    assert b"<v>9.95</v>" in sheet
    large = alone(names, huge)
    assert [cell.value for cell in column(book_of([large])["Lines"], "amount")] == ["1000000000000000.01"]


def test_a_restated_period_pays_nothing_on_any_sheet() -> None:
    book = book_of(settled("2026-11", values=RECOUNTED, version=2))
    statements, balances = book["Statements"], book["Balances"]
    assert {cell.value for cell in column(statements, "restates_statement_version")} == {1}
    zeros = [column(statements, "paid"), *(column(balances, name) for name in ("amount_paid", "withholding_tax"))]
    assert {cell.value for cells in zeros for cell in cells} == {0}
    assert [cell.value for cell in column(balances, "royalty_earned")] == [7200, 1800, 400, 0]


@pytest.mark.parametrize("start", ["=", "+", "-", "@"])
def test_text_stays_text(start: str) -> None:
    first, *others = drafts()
    evil = {"publisher_name": f'{start}HYPERLINK("http://evil","\x07x")', "lines.0.title": f"{start}1+1"}
    book = book_of([revised(first, evil), *others])
    cell = column(book["Statements"], "publisher_name")[0]
    assert (cell.value, cell.data_type) == (f'{start}HYPERLINK("http://evil"," x")', "s")
    assert cell.quotePrefix
    assert not any(cell.data_type == "f" for sheet in book for row in sheet for cell in row)


def test_the_same_period_gives_the_same_bytes_without_a_clock() -> None:
    first = period_xlsx(drafts())
    assert first == period_xlsx(drafts())
    archive = zipfile.ZipFile(io.BytesIO(first))
    assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    assert set(re.findall(rb"\d{4}-\d\d-\d\dT", archive.read("docProps/core.xml"))) == {b"1980-01-01T"}


def test_the_policy_and_several_pools_are_told_and_what_does_not_foot_is_not_written() -> None:
    facts = dict(
        (row[0].value, row[1].value)
        for row in book_of(drafts(main=100, more=7) + drafts("JPY", main=9))["Policy"].iter_rows(min_row=2)
    )
    assert facts["policy sha256"] == drafts()[0].policy.sha256
    assert (facts["pool main EUR pool_amount"], facts["pool main JPY pool_amount"]) == (1, 9)
    first, *others = drafts()
    blended = revised(first, {"policy.blend": {"equal": "1/2"}, "policy.noise_floor": True})
    told = {row[0].value: row[1].value for row in book_of([blended, *others])["Policy"]}
    assert (told["policy blend"], told["policy noise_floor"]) == ('{"equal": "1/2"}', "true")
    with pytest.raises(MoneyError):
        period_xlsx(drafts()[1:])
