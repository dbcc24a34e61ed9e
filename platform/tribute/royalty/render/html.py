"""Statements and the period report as self-contained HTML: no script, no request, the same bytes every time."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from tribute.royalty.document import Statement
from tribute.royalty.exact.findings import Finding
from tribute.royalty.exact.text import NatsText, one_line
from tribute.royalty.render import wording
from tribute.royalty.render.account import account_rows, why_paid_differs
from tribute.royalty.render.chart import SHOWN, Bar, bar_chart
from tribute.royalty.render.record import pool_text, records
from tribute.royalty.render.rows import headings, line_rows, nats_text, source_bars
from tribute.royalty.statement.balance_checks import check_period, check_statement

_PAGES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_PAGES.globals["wording"] = wording
_PAGES.filters["one_line"] = one_line


def render_html(statement: Statement) -> str:
    """A statement for the person who is owed the money: total, why, how sure, the account, how it was computed.

    Raises:
        MoneyError: the statement holds a float, or does not add up.
    """
    check_statement(statement)
    bars = source_bars(statement)
    nats = nats_text(statement)
    title = f"Value of each source of {wording.name(statement)}, with {wording.confidence(statement)} intervals"
    return _PAGES.get_template("statement.html.j2").render(
        s=statement,
        headings=headings(statement),
        rows=line_rows(statement),
        chart=Markup(bar_chart(bars, title, "sources")) if bars else "",
        undrawn=wording.UNDRAWN.format(SHOWN, len(bars) - SHOWN) if len(bars) > SHOWN else "",
        account=account_rows(statement),
        why_paid_differs=why_paid_differs(statement),
        records=records(statement, nats),
        nats=nats,
    )


def render_report(
    statements: Sequence[Statement],
    links: Mapping[str, str] | None = None,
    findings: Sequence[Finding] = (),
) -> str:
    """A period for the operator: what is paid, publishers ranked, pools, what is not attributed, and alarms.

    Args:
        links: per publisher id, the address of its statement relative to the report.
        findings: what to look at before closing, such as `alarms` gives.

    Raises:
        MoneyError: the statements do not foot to their pools.
    """
    check_period(statements)
    ranked = sorted(statements, key=lambda s: (s.currency, -s.amount_minor, s.publisher_id))
    first = {s.publisher_id: s for s in reversed(ranked)}.values()
    by_value = sorted(first, key=lambda s: (-Decimal(s.value_nats), s.publisher_id))
    title = f"Value of each publisher's sources, with {wording.confidence(ranked[0])} intervals"
    return _PAGES.get_template("report.html.j2").render(
        statements=ranked,
        s=ranked[0],
        sums=_sums(ranked),
        pools=_pools(ranked),
        links=links or {},
        findings=[one_line(finding.text) for finding in findings],
        chart=Markup(bar_chart([_bar(s) for s in by_value], title, "publishers")),
        publishers=len(first),
        nats=NatsText(Decimal(s.value_nats) for s in ranked),
    )


def _sums(statements: Sequence[Statement]) -> list[dict[str, Any]]:
    """Per currency: what is allocated, paid and carried forward, and where the difference went."""
    sums = []
    for currency in sorted({s.currency for s in statements}):
        balances = [s.balance for s in statements if s.currency == currency]
        names = ("royalty_allocated_minor", "amount_paid_minor", "withholding_tax_minor", "closing_balance_minor")
        sums.append(
            {name: wording.money(sum(getattr(each, name) for each in balances), currency) for name in names}
            | {"currency": currency, "publishers": len(balances)}
        )
    return sums


def _pools(statements: Sequence[Statement]) -> list[tuple[str, str]]:
    return sorted({(pool.pool_id, pool_text(pool, s.currency)) for s in statements for pool in s.pools})


def _bar(s: Statement) -> Bar:
    return Bar(
        wording.name(s),
        *(Decimal(getattr(s.interval, name)) for name in ("value_nats", "ci_low_nats", "ci_high_nats")),
    )
