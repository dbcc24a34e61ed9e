"""Statements and the period report as self-contained HTML: no script, no request, the same bytes every time."""

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from tribute.royalty.canonical import statement_sha256
from tribute.royalty.charts import Bar, bar_chart
from tribute.royalty.exact_text import NatsText, plain
from tribute.royalty.footing import check_period

_PAGES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)

# English, whatever the locale of the process.
_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
           "November", "December")  # fmt: skip


def render_html(statement: Mapping[str, Any]) -> str:
    """A statement for the person who is owed the money: the total, why, how sure, and how it was computed.

    Raises:
        MoneyError: the statement holds a float.
    """
    lines = statement["lines"]
    bars = [_bar(line["source_id"], line) for line in lines]
    values = [Decimal(line["value_nats"]) for line in lines]
    title = f"Value of each source of {statement['publisher_name']}, with 95% intervals"
    return _PAGES.get_template("statement.html.j2").render(
        s=statement,
        month=_month(statement),
        sha256=statement_sha256(statement),
        chart=Markup(bar_chart(bars, title, "sources")) if bars else "",
        quality=_quality(statement["quality_certificate"]),
        nats=NatsText([*values, Decimal(statement["value_nats"])]),
    )


def render_report(statements: Sequence[Mapping[str, Any]], links: Mapping[str, str] | None = None) -> str:
    """A period for the payer: publishers ranked by amount, their values and intervals, and the sum.

    Args:
        links: per publisher id, the address of its statement relative to the report.

    Raises:
        MoneyError: the statements do not foot to one pool.
    """
    pool = check_period(statements)
    ranked = sorted(statements, key=lambda s: (-s["amount_minor"], s["publisher_id"]))
    bars = [_bar(s["publisher_name"], s["interval"]) for s in ranked]
    title = "Value of each publisher's sources, with 95% intervals"
    return _PAGES.get_template("report.html.j2").render(
        statements=ranked,
        s=ranked[0],
        month=_month(ranked[0]),
        pool=pool.text(),
        links=links or {},
        chart=Markup(bar_chart(bars, title, "publishers")),
        nats=NatsText(Decimal(s["value_nats"]) for s in ranked),
    )


def _quality(certificate: Mapping[str, str] | None) -> dict[str, str]:
    """The headlines of a certificate in percent."""
    names = ("misallocated_pool", "coverage_95")
    return {name: plain(100 * Decimal(certificate[name])) for name in names} if certificate else {}


def _bar(label: str, values: Mapping[str, str]) -> Bar:
    return Bar(label, *(Decimal(values[name]) for name in ("value_nats", "ci_low_nats", "ci_high_nats")))


def _month(statement: Mapping[str, Any]) -> str:
    first = date.fromisoformat(statement["period_start"])
    return f"{_MONTHS[first.month - 1]} {first.year}"
