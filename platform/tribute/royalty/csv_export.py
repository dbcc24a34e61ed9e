"""One CSV of a period: a row per line, and a foot with counts and totals by which a cut-off file is noticed."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tribute.royalty.footing import check_period
from tribute.royalty.money import Money

_OF_STATEMENT = (
    "statement_id", "period_start", "period_end", "model_id", "publisher_id", "publisher_name", "currency"
)  # fmt: skip
_OF_LINE = (
    "line_id", "source_id", "title", "license", "split", "usage_count", "tokens", "attribution_signed_nats",
    "value_nats", "attribution_payable_nats", "ci_low_nats", "ci_high_nats", "amount_minor",
)  # fmt: skip
COLUMNS = ("record_type", *_OF_STATEMENT, *_OF_LINE, "amount")


def period_csv(statements: Sequence[Mapping[str, Any]]) -> str:
    """LINE rows in the order of the statements, then one FOOT row: number of lines, pool.

    Text that a spreadsheet would run as a formula gets an apostrophe in front.

    Raises:
        MoneyError: the statements do not foot to one pool.
    """
    pool = check_period(statements)
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    count = 0
    for row in _rows(statements):
        writer.writerow(row)
        count += 1
    first = statements[0]
    writer.writerow(
        {column: first[column] for column in ("period_start", "period_end", "model_id", "currency")}
        | {"record_type": "FOOT", "line_id": f"{count} lines in {len(statements)} statements"}
        | {"amount_minor": pool.minor, "amount": pool.decimal()}
    )
    return out.getvalue()


def _rows(statements: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    for statement in statements:
        for line in statement["lines"]:
            yield (
                {"record_type": "LINE"}
                | {column: _inert(statement[column]) for column in _OF_STATEMENT}
                | {
                    column: line[column] if column.endswith("_nats") else _inert(line[column])
                    for column in _OF_LINE
                }
                | {"amount": Money(line["amount_minor"], statement["currency"]).decimal()}
            )


def _inert(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell
