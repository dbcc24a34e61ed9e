"""One CSV of a period: lines, accounts, and a foot with counts and totals that reveal a truncated file."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from typing import Any

from tribute.royalty.document import AccountBalance, Statement, StatementLine
from tribute.royalty.exact.money import Money
from tribute.royalty.exact.text import inert, one_line
from tribute.royalty.statement.balance_checks import check_period

_OF_STATEMENT = (
    "statement_id", "statement_version", "restates_statement_version", "status", "period_start", "period_end",
    "model_id", "publisher_id", "publisher_name", "currency",
)  # fmt: skip
_OF_LINE = (
    "line_id", "line_type", "pool_id", "source_id", "title", "license", "terms", "split", "use_type",
    "usage_count", "tokens", "attribution_signed_nats", "value_nats", "attribution_payable_nats", "ci_low_nats",
    "ci_high_nats", "share",
)  # fmt: skip
COLUMNS = ("record_type", *_OF_STATEMENT, *_OF_LINE, "item", "note", "amount_minor", "amount")
BALANCE_ITEMS = (
    "opening_balance_minor", "royalty_allocated_minor", "royalty_earned_minor", "prior_period_adjustment_minor",
    "advance_granted_minor", "advance_recouped_minor", "minimum_guarantee_shortfall_minor", "reserve_held_minor",
    "reserve_released_minor", "payable_before_tax_minor", "withholding_tax_minor", "amount_paid_minor",
    "carried_forward_minor", "closing_balance_minor", "unrecouped_advance_minor",
)  # fmt: skip
"""A statement's account, in the industry's order."""
_NUMBERS = frozenset(name for name in _OF_LINE if name.endswith("_nats"))


def period_csv(statements: Sequence[Statement]) -> str:
    """Per statement its LINE rows and its BALANCE rows (one per item, zeros too); then a FOOT row for each pool.

    A FOOT row has a pool's amount and the number of LINE and BALANCE rows. Text that a spreadsheet would run
    as a formula gets an apostrophe in front.

    Raises:
        MoneyError: the statements do not foot to their pools.
    """
    pools = check_period(statements)
    rows = [row for statement in statements for row in (*_lines(statement), *_balance(statement))]
    first = statements[0]
    common = {column: getattr(first, column) for column in ("period_start", "period_end", "model_id")}
    foot = [
        common
        | {"record_type": "FOOT", "pool_id": _inert(pool_id), "currency": pool.currency}
        | {"item": "pool_amount", "note": f"{len(rows)} rows of {len(statements)} statements above"}
        | _amount(pool)
        for (pool_id, _), pool in pools.items()
    ]
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows([*rows, *foot])
    return out.getvalue()


def adjustment_note(balance: AccountBalance) -> str:
    """The reasons of a balance's corrections, with the statements that they correct."""
    return "; ".join(
        f"{each.reason} ({each.adjusts_statement_id}): {each.amount_minor}" for each in balance.adjustments
    )


def terms_text(line: StatementLine) -> str:
    """The terms that a line's holder declares, as JSON in one cell; empty without any."""
    return json.dumps(line.terms, sort_keys=True, ensure_ascii=False) if line.terms else ""


def _lines(statement: Statement) -> Iterator[dict[str, Any]]:
    for line in statement.lines:
        cells = {name: _cell(name, getattr(line, name)) for name in _OF_LINE}
        cells["terms"] = _inert(terms_text(line))
        amount = Money(line.amount_minor, statement.currency)
        yield {"record_type": "LINE"} | _of(statement) | cells | {"item": "line"} | _amount(amount)


def _balance(statement: Statement) -> Iterator[dict[str, Any]]:
    b = statement.balance
    notes = {
        "royalty_earned_minor": f"rate {b.royalty_rate}",
        "prior_period_adjustment_minor": adjustment_note(b),
        "withholding_tax_minor": f"rate {b.withholding_tax_rate}",
    }
    for item in BALANCE_ITEMS:
        step = {"item": item.removesuffix("_minor"), "note": _inert(notes.get(item, ""))}
        yield (
            {"record_type": "BALANCE"}
            | _of(statement)
            | step
            | _amount(Money(getattr(b, item), statement.currency))
        )


def _of(statement: Statement) -> dict[str, Any]:
    return {column: _inert(getattr(statement, column)) for column in _OF_STATEMENT}


def _amount(money: Money) -> dict[str, Any]:
    return {"amount_minor": money.minor, "amount": money.decimal()}


def _cell(name: str, value: object) -> object:
    return value if name in _NUMBERS else _inert(value)


def _inert(cell: object) -> object:
    """Text on one line, with an apostrophe in front of what would run; other cells as they are."""
    if not isinstance(cell, str):
        return cell
    return inert(one_line(cell))
