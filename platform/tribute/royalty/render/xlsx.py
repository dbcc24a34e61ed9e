"""A period as a workbook: statements, lines, accounts and policy. The same bytes every time.

Amounts are numbers, written digit by digit, never through a binary number; those of more than fifteen digits,
which a spreadsheet would round, are text. Text stays text, whatever it begins with.
"""

import io
import json
import re
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from openpyxl import Workbook
from openpyxl.cell import Cell
from openpyxl.styles import Alignment, Font
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.worksheet import Worksheet

from tribute.royalty.document import Statement, StatementLine
from tribute.royalty.exact.money import Money
from tribute.royalty.exact.text import one_line
from tribute.royalty.render.csv_period import BALANCE_ITEMS, adjustment_note, terms_text
from tribute.royalty.render.wording import unit
from tribute.royalty.statement.balance_checks import check_period

_DIGITS = 15
_LONGEST = 32_767
_WHO = ("statement_id", "publisher_id", "publisher_name")
_OF_STATEMENT = (
    "statement_version",
    "restates_statement_version",
    "supersedes_statement_id",
    "status",
    "model_id",
    "period_start",
    "period_end",
)
_OF_LINE = ("line_id", "line_type", "pool_id", "source_id", "title", "license", "split", "use_type")
_VALUES = ("attribution_signed_nats", "value_nats", "attribution_payable_nats")
_OF_VALUES = ("shrinkage", "payable_nats", "value_run", "simulate_run", "train_run", "repetition")
_BOUNDS = ("ci_low_nats", "ci_high_nats")
_EPOCH = (1980, 1, 1, 0, 0, 0)


class _Number(NamedTuple):
    """A decimal number as it is written in the file, and how it is shown."""

    text: str
    format: str


def period_xlsx(statements: Sequence[Statement]) -> bytes:
    """The sheets Statements, Lines, Balances and Policy of a period.

    Raises:
        MoneyError: the statements do not foot to their pools.
    """
    check_period(statements)
    book = Workbook()
    book.remove(book.active)
    _sheet(book, "Statements", map(_statement, statements))
    _sheet(book, "Lines", (_line(s, line) for s in statements for line in s.lines))
    _sheet(book, "Balances", map(_balance, statements))
    _sheet(book, "Policy", _policy(statements))
    out = io.BytesIO()
    book.save(out)
    return _timeless(out.getvalue())


def _statement(s: Statement) -> dict[str, Any]:
    b, interval = s.balance, s.interval
    return {
        **{name: getattr(s, name) for name in (*_WHO, *_OF_STATEMENT, "currency")},
        "allocated": _amount(s.amount_minor, s.currency),
        "paid": _amount(b.amount_paid_minor, s.currency),
        "closing_balance": _amount(b.closing_balance_minor, s.currency),
        "share_percent": _Number(s.share_percent, "0.0000"),
        **{name: _nats(getattr(s, name)) for name in _VALUES},
        **{name: _nats(getattr(interval, name)) for name in _BOUNDS},
        **{name: _nats(getattr(interval, name)) for name in ("share_low", "share_high")},
        **{
            f"allocated_{end}": _amount(getattr(interval, f"amount_{end}_minor"), s.currency)
            for end in ("low", "high")
        },
        "lines": s.totals.line_count,
        "sha256": s.sha256,
    }


def _line(s: Statement, line: StatementLine) -> dict[str, Any]:
    return {
        **{name: getattr(s, name) for name in _WHO},
        **{name: getattr(line, name) for name in _OF_LINE},
        "terms": terms_text(line),
        "usage_count": line.usage_count,
        "tokens": line.tokens,
        **{name: _nats(getattr(line, name)) for name in (*_VALUES, *_BOUNDS)},
        "currency": s.currency,
        "amount": _amount(line.amount_minor, s.currency),
    }


def _balance(s: Statement) -> dict[str, Any]:
    b = s.balance
    return {
        **{name: getattr(s, name) for name in (*_WHO, "currency")},
        **{name.removesuffix("_minor"): _amount(getattr(b, name), s.currency) for name in BALANCE_ITEMS},
        "royalty_rate": b.royalty_rate,
        "withholding_tax_rate": b.withholding_tax_rate,
        "adjustments": adjustment_note(b),
    }


def _policy(statements: Sequence[Statement]) -> Iterable[dict[str, Any]]:
    s = statements[0]
    facts = {f"policy {name}": value for name, value in sorted(s.policy.plain().items())}
    facts |= {name: getattr(s, name) for name in _OF_VALUES} | {"values": unit(s)}
    facts |= {
        f"quality {name}": value
        for name, value in sorted(s.quality_certificate.plain().items() if s.quality_certificate else ())
    }
    pools = {(each.currency, pool.pool_id): pool for each in statements for pool in each.pools}
    for (currency, pool_id), pool in pools.items():
        facts |= {
            f"pool {pool_id} {currency} {name.removesuffix('_minor')}": _amount(getattr(pool, name), currency)
            for name in ("gross_revenue_minor", "net_revenue_minor", "pool_amount_minor", "unattributed_minor")
        }
        facts[f"pool {pool_id} {currency} basis"] = pool.allocation_basis
    return [{"name": name, "value": value} for name, value in facts.items()]


def _amount(minor: int | None, currency: str) -> _Number | str | None:
    if minor is None:
        return None
    money = Money(minor, currency)
    if len(str(abs(minor))) > _DIGITS:
        return str(money.decimal())
    decimals = f".{'0' * money.exponent}" if money.exponent else ""
    return _Number(f"{money.decimal():f}", f"#,##0{decimals}")


def _nats(value: str | None) -> _Number | None:
    return None if value is None else _Number(f"{Decimal(value):.9f}", "#,##0.000000")


def _sheet(book: Workbook, title: str, rows: Iterable[Mapping[str, Any]]) -> None:
    sheet = book.create_sheet(title)
    listed = list(rows)
    columns = list(listed[0]) if listed else []
    for at, column in enumerate(columns, 1):
        heading = sheet.cell(1, at, column)
        heading.font = Font(bold=True)
        cells = [_written(sheet.cell(number, at), row[column]) for number, row in enumerate(listed, 2)]
        widest = max(map(len, (column, *cells)))
        sheet.column_dimensions[get_column_letter(at)].width = min(widest + 2, 60)
    if columns:
        _convenient(sheet)


def _convenient(sheet: Worksheet) -> None:
    sheet.freeze_panes = "B2"
    sheet.auto_filter.ref = sheet.dimensions


def _written(cell: Cell, value: Any) -> str:
    """Write a value into a cell; gives the text that its width is judged by."""
    if isinstance(value, _Number):
        cell.value = value.text
        cell.data_type, cell.number_format = "n", value.format
        return value.text
    if isinstance(value, dict | list | bool):
        value = json.dumps(value, sort_keys=True, ensure_ascii=False)
    if isinstance(value, str):
        text = one_line(value)[:_LONGEST]
        cell.value = text
        cell.data_type, cell.quotePrefix = "s", text.startswith(("=", "+", "-", "@"))
        cell.alignment = Alignment(wrap_text=len(text) > 60, vertical="top")
        return text[:60]
    cell.value = value
    return "" if value is None else str(value)


def _timeless(book: bytes) -> bytes:
    """The same archive without the time of its making."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(book)) as given, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as kept:
        for name in given.namelist():
            content = given.read(name)
            if name == "docProps/core.xml":
                content = re.sub(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", b"1980-01-01T00:00:00Z", content)
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o600 << 16
            kept.writestr(entry, content)
    return out.getvalue()
