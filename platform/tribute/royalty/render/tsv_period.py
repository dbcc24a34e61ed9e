"""A period as a tab-separated report in the manner of DDEX's Recording Data and Rights, revenue reporting.

It follows DDEX's record and field names where they fit and is not a certified DDEX message: what DDEX has no name
for (nats, shares, hashes) stands in columns of tribute's own; territories and recordings, which tribute does not
have, are left out.

UTF-8, one record a line, cells between tabs, several values of a cell between `|`; a `#` row before the first
record of each type names its columns. Inside a value a backslash, `|`, tab or line break is written as a backslash
and `\\`, `|`, `t`, `n` or `r`. Records: RHEA head, then for each statement SRS1 (summary) and its details, RD01
for a source and RD03 for revenue that no source can claim, and last RFOO, whose counts show a cut-off file.
Amounts are decimals of the currency, with all its digits.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tribute.royalty.exact.canonical import statement_sha256
from tribute.royalty.exact.money import Money
from tribute.royalty.render.csv_period import terms_text
from tribute.royalty.statement.balance_checks import check_period

Cell = str | list[str]
Fields = dict[str, Cell]

VERSION = "1"
_DETAIL = (
    "RecordType", "RecordId", "AllocatedPartySummaryRecordId", "UseType", "LicenseeName", "UsageStartDate",
    "UsageEndDate", "RevenuePoolName", "BasisForRevenueAllocation", "RevenueSourceType", "NumberOfUsages",
    "CurrencyOfAccounting", "NetRevenueInCurrencyOfAccounting", "ShareOfPool",
)  # fmt: skip
COLUMNS: dict[str, tuple[str, ...]] = {
    "RHEA": (
        "RecordType", "MessageVersion", "Profile", "ProfileVersion", "MessageId", "MessageCreatedDateTime",
        "FileNumber", "NumberOfFiles", "UsageStartDate", "UsageEndDate", "MessageSender", "NumberOfSummaryRecords",
        "ModelId",
    ),
    "SRS1": (
        "RecordType", "RecordId", "SummaryType", "StatementVersion", "RestatesStatementVersion",
        "SupersedesStatementId", "StatementStatus",
        "AllocatedPartyId", "AllocatedPartyName", "AgreementId", "UsageStartDate", "UsageEndDate",
        "RevenuePoolName", "CurrencyOfAccounting", "NetRevenueInCurrencyOfAccounting", "OpeningBalance",
        "RoyaltyEarned",
        "PriorPeriodAdjustment", "AdvanceRecouped", "MinimumGuaranteeShortfall", "ReserveHeld", "ReserveReleased",
        "PayableBeforeTax", "WithholdingTax", "AmountPaid", "ClosingBalance", "RunIds", "PolicySha256",
        "StatementSha256",
    ),
    "RD01": (
        *_DETAIL, "ResourceId", "ResourceTitle", "License", "LicenseTerms", "RightsShare", "Tokens", "ValueInNats",
        "ValueInNatsLow", "ValueInNatsHigh",
    ),
    "RD03": _DETAIL,
    "RFOO": (
        "RecordType", "NumberOfLinesInFile", "NumberOfLinesInReport", "NumberOfSummaryRecords",
        "NumberOfDetailRecords", "NumberOfBlocksInFile", "NumberOfBlocksInReport",
    ),
}  # fmt: skip
"""Columns of each type of record."""
MULTIPLE = frozenset(("RevenuePoolName", "RunIds"))
"""Columns that hold any number of values."""
_ESCAPES = {"\\": "\\\\", "|": "\\|", "\t": "\\t", "\n": "\\n", "\r": "\\r"}
_BALANCE = {
    "OpeningBalance": "opening_balance_minor", "RoyaltyEarned": "royalty_earned_minor",
    "PriorPeriodAdjustment": "prior_period_adjustment_minor", "AdvanceRecouped": "advance_recouped_minor",
    "MinimumGuaranteeShortfall": "minimum_guarantee_shortfall_minor", "ReserveHeld": "reserve_held_minor",
    "ReserveReleased": "reserve_released_minor", "PayableBeforeTax": "payable_before_tax_minor",
    "WithholdingTax": "withholding_tax_minor", "AmountPaid": "amount_paid_minor",
    "ClosingBalance": "closing_balance_minor",
}  # fmt: skip


def period_tsv(statements: Sequence[Mapping[str, Any]], message_id: str, created: str, sender: str) -> str:
    """The report of a period, whole in one file.

    Args:
        message_id: never used again by this sender.
        created: date and time as RFC 3339 writes them, such as `2026-11-03T08:00:00Z`.
        sender: who pays.

    Raises:
        MoneyError: the statements do not foot to their pools.
    """
    check_period(statements)
    first = statements[0]
    head: Fields = {
        "MessageVersion": "tribute/2", "Profile": "TributeRoyaltyReport", "ProfileVersion": VERSION,
        "MessageId": message_id, "MessageCreatedDateTime": created, "FileNumber": "1", "NumberOfFiles": "1",
        "UsageStartDate": first["period_start"], "UsageEndDate": first["period_end"], "MessageSender": sender,
        "NumberOfSummaryRecords": str(len(statements)), "ModelId": first["model_id"],
    }  # fmt: skip
    records = [("RHEA", head), *(record for s in statements for record in _records(s, sender))]
    lines = _with_headings(records)
    counted = str(len(lines) + 2)
    details = sum(kind.startswith("RD") for kind, _ in records)
    foot: Fields = {
        "NumberOfLinesInFile": counted, "NumberOfLinesInReport": counted,
        "NumberOfSummaryRecords": str(len(statements)), "NumberOfDetailRecords": str(details),
        "NumberOfBlocksInFile": str(len(statements)), "NumberOfBlocksInReport": str(len(statements)),
    }  # fmt: skip
    return "".join(f"{line}\n" for line in [*lines, _heading("RFOO"), _line("RFOO", foot)])


def _records(s: Mapping[str, Any], sender: str) -> Iterator[tuple[str, Fields]]:
    yield "SRS1", _summary(s)
    pools = {pool["pool_id"]: pool for pool in s["pools"]}
    for line in s["lines"]:
        fields = _detail(s, line, pools[line["pool_id"]], sender)
        if line["line_type"] == "unattributed":
            yield "RD03", fields
        else:
            yield "RD01", fields | _resource(line)


def _summary(s: Mapping[str, Any]) -> Fields:
    currency = s["currency"]
    return {
        "RecordId": s["statement_id"], "SummaryType": "AllocatedParty",
        "StatementVersion": str(s["statement_version"]),
        "RestatesStatementVersion": str(s["restates_statement_version"] or ""),
        "SupersedesStatementId": s["supersedes_statement_id"] or "", "StatementStatus": s["status"],
        "AllocatedPartyId": s["publisher_id"], "AllocatedPartyName": s["publisher_name"],
        "AgreementId": s["agreement"]["agreement_id"], "UsageStartDate": s["period_start"],
        "UsageEndDate": s["period_end"], "RevenuePoolName": [pool["pool_id"] for pool in s["pools"]],
        "CurrencyOfAccounting": currency,
        "NetRevenueInCurrencyOfAccounting": _decimal(s["amount_minor"], currency),
        **{column: _decimal(s["balance"][name], currency) for column, name in _BALANCE.items()},
        "RunIds": [s["value_run"], s["simulate_run"], s["train_run"]], "PolicySha256": s["policy"]["sha256"],
        "StatementSha256": statement_sha256(s),
    }  # fmt: skip


def _detail(s: Mapping[str, Any], line: Mapping[str, Any], pool: Mapping[str, Any], sender: str) -> Fields:
    return {
        "RecordId": line["line_id"], "AllocatedPartySummaryRecordId": s["statement_id"],
        "UseType": line["use_type"], "LicenseeName": sender, "UsageStartDate": s["period_start"],
        "UsageEndDate": s["period_end"], "RevenuePoolName": [line["pool_id"]],
        "BasisForRevenueAllocation": pool["allocation_basis"],
        "RevenueSourceType": "Attributed" if line["line_type"] == "source" else "Unattributed",
        "NumberOfUsages": str(line["usage_count"] or ""), "CurrencyOfAccounting": s["currency"],
        "NetRevenueInCurrencyOfAccounting": _decimal(line["amount_minor"], s["currency"]),
        "ShareOfPool": line["share"],
    }  # fmt: skip


def _resource(line: Mapping[str, Any]) -> Fields:
    return {
        "ResourceId": line["source_id"], "ResourceTitle": line["title"] or "", "License": line["license"] or "",
        "LicenseTerms": terms_text(line), "RightsShare": line["split"], "Tokens": str(line["tokens"]),
        "ValueInNats": line["value_nats"], "ValueInNatsLow": line["ci_low_nats"],
        "ValueInNatsHigh": line["ci_high_nats"],
    }  # fmt: skip


def _decimal(minor: int, currency: str) -> str:
    return f"{Money(minor, currency).decimal():f}"


def _with_headings(records: Sequence[tuple[str, Fields]]) -> list[str]:
    lines: list[str] = []
    named: set[str] = set()
    for kind, fields in records:
        if kind not in named:
            named.add(kind)
            lines.append(_heading(kind))
        lines.append(_line(kind, fields))
    return lines


def _heading(kind: str) -> str:
    return "\t".join((f"#{COLUMNS[kind][0]}", *COLUMNS[kind][1:]))


def _line(kind: str, fields: Fields) -> str:
    return "\t".join((kind, *(_cell(fields[column]) for column in COLUMNS[kind][1:])))


def _cell(value: Cell) -> str:
    values = value if isinstance(value, list) else [value]
    return "|".join("".join(_ESCAPES.get(each, each) for each in text) for text in values)
