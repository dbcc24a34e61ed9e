"""The agreements file: read, and checked row by row."""

import difflib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

from tribute.errors import ConfigError, MoneyError, RightsError
from tribute.files.records import FileRow, raise_if_any, read_records
from tribute.ids import short
from tribute.royalty.account.agreement import Agreement
from tribute.royalty.exact.money import currency_exponent
from tribute.royalty.terms.cells import (
    amount_cell,
    count_cell,
    day_cell,
    id_cell,
    part_cell,
    text_cell,
    verbatim_cell,
)

REQUIRED = ("publisher_id", "currency")
OPTIONAL = (
    "agreement_id", "rate", "advance", "advance_period", "minimum_guarantee", "payout_threshold", "reserve_rate",
    "reserve_months", "withholding_rate", "accounting_period", "valid_from", "valid_to",
)  # fmt: skip
_TERMS: dict[str, tuple[str, Callable[[FileRow, str], Any]]] = {
    "rate": ("rate", part_cell),
    "minimum_guarantee": ("guarantee_minor", lambda record, column: _amount(record, column)),
    "payout_threshold": ("threshold_minor", lambda record, column: _amount(record, column)),
    "reserve_rate": ("reserve_rate", part_cell),
    "reserve_months": ("reserve_months", count_cell),
    "withholding_rate": ("withholding_rate", part_cell),
    "accounting_period": ("accounting_period", lambda record, column: _optional_text(record, column)),
}
"""Column, field of the agreement, and how it is read."""


class _Row(NamedTuple):
    where: str
    agreement: Agreement
    """With the terms and the one advance of this row."""
    given: Mapping[str, Any]
    """Fields whose cells are not empty."""


def read_agreements(path: Path, publishers: Collection[str] | None = None) -> tuple[Agreement, ...]:
    """Read the terms of publishers, and check every row.

    Rows of one publisher, agreement, currency and validity are one agreement: each may add an advance of another
    period, and its other cells are empty or say the same.

    Args:
        path: CSV, YAML (list of mappings) or Parquet with `publisher_id`, `currency` and the columns of OPTIONAL.
            Amounts are text in major units (1000.00), rates are text (0.15 or 1/3), `advance_period` is a month.
        publishers: known ids; None accepts all.

    Raises:
        RightsError: names file, row and column of every problem.
    """
    rows: list[_Row] = []
    problems: list[str] = []
    for record in read_records(path, REQUIRED, OPTIONAL):
        try:
            rows.append(_row(record, publishers))
        except (RightsError, MoneyError, ConfigError) as problem:
            problems.append(f"{record.where}, {problem}")
    groups: dict[tuple[Any, ...], list[_Row]] = {}
    for row in rows:
        terms = row.agreement
        key = (terms.publisher_id, terms.agreement_id, terms.currency, terms.valid_from, terms.valid_to)
        groups.setdefault(key, []).append(row)
    problems += [problem for group in groups.values() for problem in _contradictions(group)]
    problems += _overlaps([group[0] for group in groups.values()])
    raise_if_any(f"{path} cannot be used:", problems)
    merged = (_merged(group) for group in groups.values())
    return tuple(sorted(merged, key=lambda each: (each.publisher_id, each.currency, str(each.valid_from or ""))))


def _row(record: FileRow, publishers: Collection[str] | None) -> _Row:
    publisher_id, currency = id_cell(record, "publisher_id"), text_cell(record, "currency")
    if publishers is not None and publisher_id not in publishers:
        near = difflib.get_close_matches(publisher_id, publishers, n=3)
        hint = (
            f"Did you mean {' or '.join(map(short, near))}?"
            if near
            else "Name it among the publishers of the rights"
        )
        raise RightsError(f"column publisher_id: {short(publisher_id)} is no known publisher. {hint}")
    try:
        currency_exponent(currency)
    except MoneyError as problem:
        raise RightsError(f"column currency: {problem}") from None
    read = {name: parse(record, column) for column, (name, parse) in _TERMS.items()}
    given = {name: value for name, value in read.items() if value is not None}
    agreement = Agreement(
        publisher_id,
        currency,
        _optional_text(record, "agreement_id") or "standard",
        advances=_advances(record, currency),
        valid_from=day_cell(record, "valid_from"),
        valid_to=day_cell(record, "valid_to"),
    )
    for period, _ in agreement.advances:
        if not agreement.holds(period):
            raise RightsError(f"column advance_period: the agreement is not in force in {period}. Correct one")
    if given.get("reserve_rate") and "reserve_months" not in given:
        raise RightsError("column reserve_months is empty. Say after how many months a reserve is released")
    return _Row(record.where, replace(agreement, **given), given)


def _advances(record: FileRow, currency: str) -> tuple[tuple[str, int], ...]:
    minor, period = amount_cell(record, "advance", currency), _optional_text(record, "advance_period")
    if (minor is None) != (period is None):
        raise RightsError("columns advance and advance_period belong together. Fill in both, or none")
    return () if minor is None or period is None else ((period, minor),)


def _contradictions(rows: Sequence[_Row]) -> list[str]:
    """Contradictions between rows of one agreement: different values of a term, or an advance granted twice."""
    problems = []
    values: dict[str, tuple[str, Any]] = {}
    granted: dict[str, str] = {}
    for row in rows:
        for name, value in row.given.items():
            where, before = values.setdefault(name, (row.where, value))
            if value != before:
                column = next(column for column, (field, _) in _TERMS.items() if field == name)
                problems.append(
                    f"{row.where}, column {column} says another thing than {where} of the same agreement. "
                    "Leave it empty, or set valid_from and valid_to"
                )
        for period, _ in row.agreement.advances:
            before_row = granted.setdefault(period, row.where)
            if before_row != row.where:
                problems.append(f"{row.where} repeats the advance of {period} of {before_row}. Remove one")
        if not row.agreement.advances and row is not rows[0]:
            problems.append(f"{row.where} repeats {rows[0].where} without an advance. Remove one of the two")
    return problems


def _overlaps(firsts: Sequence[_Row]) -> list[str]:
    """Agreements of one publisher and currency that are in force at once; each is named by its first row."""
    problems = []
    for one, other in combinations(firsts, 2):
        a, b = one.agreement, other.agreement
        same = (a.publisher_id, a.currency) == (b.publisher_id, b.currency)
        apart = (a.valid_to and b.valid_from and a.valid_to <= b.valid_from) or (
            b.valid_to and a.valid_from and b.valid_to <= a.valid_from
        )
        if same and not apart:
            problems.append(
                f"{other.where}: {b.publisher_id} has another agreement in {b.currency} at the same time "
                f"({one.where}). Set valid_from and valid_to so that they do not overlap"
            )
    return problems


def _merged(rows: Sequence[_Row]) -> Agreement:
    terms = {name: value for row in rows for name, value in row.given.items()}
    advances = sorted(advance for row in rows for advance in row.agreement.advances)
    return replace(rows[0].agreement, **terms, advances=tuple(advances))


def _amount(record: FileRow, column: str) -> int | None:
    return amount_cell(record, column, text_cell(record, "currency"))


def _optional_text(record: FileRow, column: str) -> str | None:
    return None if verbatim_cell(record, column) is None else text_cell(record, column)
