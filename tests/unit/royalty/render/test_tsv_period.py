"""The tab-separated report, read back: nothing is lost, and a file that was cut or changed is refused."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.golden.statement_cases import RECOUNTED, settled
from tests.unit.royalty.issued import statements as issued
from tests.unit.royalty.specimens import one, period
from tribute.errors import MoneyError
from tribute.royalty.exact.canonical import statement_sha256
from tribute.royalty.render.ddex_reader import read_tsv
from tribute.royalty.render.tsv_period import COLUMNS, period_tsv

HOW = ("message-1", "2027-01-03T08:00:00Z", "Payer & Co")
REPORT = period_tsv(period(main=1_000_000, licences=7) + period("JPY", main=995), *HOW)


def test_a_report_holds_every_statement_and_line() -> None:
    statements = period(main=1_000_000, licences=7) + period("JPY", main=995)
    records = read_tsv(REPORT)
    assert [kind for kind, _ in records[:2]] == ["RHEA", "SRS1"]
    summaries = [fields for kind, fields in records if kind == "SRS1"]
    assert [each["RecordId"] for each in summaries] == [s["statement_id"] for s in statements]
    assert summaries[0]["RevenuePoolName"] == ["main", "licences"]
    assert summaries[0]["StatementSha256"] == statement_sha256(statements[0])
    details = [(kind, fields["RecordId"]) for kind, fields in records if kind.startswith("RD")]
    kinds = {"source": "RD01", "unattributed": "RD03"}
    assert details == [(kinds[line["line_type"]], line["line_id"]) for s in statements for line in s["lines"]]


def test_a_restated_period_pays_nothing() -> None:
    """Also for a publisher that had no statement before, whose SupersedesStatementId is empty."""
    statements = settled("2026-11", values=RECOUNTED, version=2)
    statements[1]["supersedes_statement_id"] = None
    records = read_tsv(period_tsv(statements, *HOW))
    summaries = [fields for kind, fields in records if kind == "SRS1"]
    assert {each["RestatesStatementVersion"] for each in summaries} == {"1"}
    assert {each[name] for each in summaries for name in ("AmountPaid", "WithholdingTax", "ClosingBalance")} == {
        "0.00"
    }
    assert [each["RoyaltyEarned"] for each in summaries] == ["7200.00", "1800.00", "400.00", "0.00"]


def test_amounts_dates_and_counts_stand_in_their_columns() -> None:
    records = read_tsv(REPORT)
    head, foot = records[0].fields, records[-1].fields
    assert (head["UsageStartDate"], head["UsageEndDate"]) == ("2026-12-01", "2026-12-31")
    assert (head["MessageId"], head["NumberOfSummaryRecords"]) == ("message-1", "6")
    assert foot["NumberOfLinesInFile"] == foot["NumberOfLinesInReport"] == str(len(REPORT.splitlines()))
    line = next(fields for kind, fields in records if kind == "RD01")
    assert (line["NetRevenueInCurrencyOfAccounting"], line["CurrencyOfAccounting"]) == ("5258.62", "EUR")
    assert (line["UseType"], line["BasisForRevenueAllocation"]) == ("ai_generation", "attribution")
    assert line["LicenseeName"] == "Payer & Co"
    yen = [each.fields for each in records if each.fields.get("CurrencyOfAccounting") == "JPY"]
    assert len(yen) == 11
    assert not any("." in str(each["NetRevenueInCurrencyOfAccounting"]) for each in yen)


def test_human_readers_find_the_columns_named() -> None:
    for kind, columns in COLUMNS.items():
        heading = "#" + "\t".join(columns) + "\n"
        assert REPORT.count(heading) == 1
        assert REPORT.index(heading) < REPORT.index(f"\n{kind}\t") + 1


@settings(max_examples=30, deadline=None)
@given(
    name=st.text(st.characters(codec="utf-8"), max_size=30), pool=st.text("a|\\\t\n\r#", min_size=1, max_size=6)
)
def test_any_name_survives(name: str, pool: str) -> None:
    statements = period(main=100)
    statements[0]["publisher_name"] = name
    for line in (line for s in statements for line in s["lines"]):
        line["pool_id"] = pool
    for s in statements:
        s["pools"] = [s["pools"][0] | {"pool_id": pool}]
    summary = read_tsv(period_tsv(statements, *HOW))[1].fields
    assert (summary["AllocatedPartyName"], summary["RevenuePoolName"]) == (name, [pool])


@pytest.mark.parametrize("cut", range(0, len(REPORT), 97))
def test_a_report_cut_off_anywhere_is_refused(cut: int) -> None:
    with pytest.raises(MoneyError, match="cannot be trusted"):
        read_tsv(REPORT[:cut])


def test_a_report_without_any_one_line_is_refused() -> None:
    lines = REPORT.splitlines(keepends=True)
    for at in range(len(lines)):
        with pytest.raises(MoneyError, match="cannot be trusted"):
            read_tsv("".join(lines[:at] + lines[at + 1 :]))
        with pytest.raises(MoneyError, match="cannot be trusted"):
            read_tsv("".join([*lines[: at + 1], *lines[at:]]))


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("\nRD03\t", "\nRD99\t", "unknown record type 'RD99'"),
        ("\nSRS1\t", "\nSRS1\tmore\t", "cells, SRS1 has"),
        ("Payer & Co", "Payer\\q", "backslash that escapes nothing"),
        ("Payer & Co", "Payer\\", "backslash that escapes nothing"),
        ("Payer & Co", "Payer|Co", "2 values of MessageSender"),
        ("#RecordType\tMessageVersion", "#RecordType\tMessage", "names columns that no record has"),
        ("licences:aurora-docs", "main:aurora-docs", "comes twice"),
    ],
)
def test_what_is_not_understood_is_refused(old: str, new: str, told: str) -> None:
    assert old in REPORT
    with pytest.raises(MoneyError, match=told):
        read_tsv(REPORT.replace(old, new, 1))


def test_lines_under_another_summary_are_refused() -> None:
    lines = REPORT.splitlines(keepends=True)
    at = [number for number, line in enumerate(lines) if line.startswith("SRS1")]
    lines[at[0]], lines[at[1]] = lines[at[1]], lines[at[0]]
    with pytest.raises(MoneyError, match="does not stand under its summary"):
        read_tsv("".join(lines))


def test_statements_of_the_builder_are_reported() -> None:
    made = issued()
    assert len(read_tsv(period_tsv(made, *HOW))) == 2 + len(made) + sum(len(each["lines"]) for each in made)


@pytest.mark.parametrize("missing", [one()["lines"][-1] | dict.fromkeys(("usage_count", "license", "tokens"))])
def test_an_unattributed_line_has_no_figures(missing: dict[str, Any]) -> None:
    statements = period()
    statements[0]["lines"][-1] = missing
    assert next(f for k, f in read_tsv(period_tsv(statements, *HOW)) if k == "RD03")["NumberOfUsages"] == ""
