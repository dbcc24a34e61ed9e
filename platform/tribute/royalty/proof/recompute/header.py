"""What a statement says of itself: ids, days, versions, and numbers that have limits."""

import calendar
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

from tribute.royalty.proof.recompute.statement import differs
from tribute.royalty.proof.shapes import within
from tribute.royalty.proof.strict_json import Problem

Document = Mapping[str, Any]
_RATES = ("rate", "reserve_rate", "withholding_rate")


def header_problems(statement: Document, place: str = "") -> Iterator[Problem]:
    """Ids, days and versions that do not follow from each other, and rates, parts and intervals out of range.

    Args:
        place: path of the statement, such as `statements[2]`; a statement by itself has none.
    """
    for name, expected, why in _derived(statement):
        yield from differs(within(place, name), statement[name], expected, why)
    for index, line in enumerate(statement["lines"]):
        expected = f"{statement['statement_id']}:{line['pool_id']}:{line['source_id'] or ''}"
        at = within(place, f"lines[{index}].line_id")
        yield from differs(at, line["line_id"], expected, "statement, pool and source")
    for name, part in _parts_of_one(statement):
        if not 0 <= Fraction(part) <= 1:
            yield Problem(within(place, name), f"is {part[:60]}, expected a part from 0 to 1")
    terms = statement["agreement"]
    if Fraction(terms["reserve_rate"]) and not terms["reserve_months"]:
        text = "is 0, expected the months after which what is reserved is released"
        yield Problem(within(place, "agreement.reserve_months"), text)


def _derived(statement: Document) -> Iterator[tuple[str, object, str]]:
    period, version = statement["period"], statement["statement_version"]
    days = calendar.monthrange(int(period[:4]), int(period[5:]))[1]
    yield "period_start", f"{period}-01", "the first day of the period"
    yield "period_end", f"{period}-{days:02}", "the last day of the period"
    yield "statement_version", max(version, 1), "versions count from 1"
    names = ("model_id", "period", "publisher_id", "currency")
    stem = "-".join(statement[name] for name in names)
    yield "statement_id", f"{stem}-v{version}", "model, period, publisher, currency and version"
    before = version - 1 if version > 1 else None
    if statement["restates_statement_version"] is not None:
        yield "restates_statement_version", before, "the version before, if there is one"
    if statement["supersedes_statement_id"] is not None:
        restated = statement["restates_statement_version"]
        expected = None if restated is None else f"{stem}-v{restated}"
        yield "supersedes_statement_id", expected, "null, or the publisher's statement of the restated version"


def _parts_of_one(statement: Document) -> Iterator[tuple[str, str]]:
    yield "shrinkage", statement["shrinkage"]
    for name in _RATES:
        yield f"agreement.{name}", statement["agreement"][name]
    for index, pool in enumerate(statement["pools"]):
        yield f"pools[{index}].royalty_rate", pool["royalty_rate"]
    for index, line in enumerate(statement["lines"]):
        if line["split"] is not None:
            yield f"lines[{index}].split", line["split"]
