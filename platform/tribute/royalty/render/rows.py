"""A statement's lines as the rows of its table and the bars of its chart."""

from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from tribute.royalty.document import Statement, StatementLine
from tribute.royalty.exact.text import NatsText, one_line
from tribute.royalty.render.chart import Bar
from tribute.royalty.render.wording import confidence

HEADINGS = ("Source", "Amount", "Your part", "Value", "{} interval", "Counted", "Tokens")


class LineRow(NamedTuple):
    """The cells of a line, and a second line of small print under its name."""

    name: str
    amount: str
    part: str
    value: str
    interval: str
    counted: str
    tokens: str
    small: str = ""

    @property
    def cells(self) -> tuple[str, ...]:
        """The cells under `headings`."""
        return self[:7]


def headings(s: Statement) -> tuple[str, ...]:
    """Of the columns, with the confidence of the intervals."""
    return tuple(each.format(confidence(s)) for each in HEADINGS)


def nats_text(s: Statement) -> NatsText:
    """As many decimals as the largest value of a line needs."""
    return NatsText(Decimal(each.value_nats or "0") for each in s.lines or [s])


def line_rows(s: Statement) -> list[LineRow]:
    """The lines in the statement's order, then the total."""
    nats = nats_text(s)
    pools = len(s.pools) > 1
    return [_row(line, nats, pools) for line in s.lines] + [_total(s, nats)] if s.lines else []


def _row(line: StatementLine, nats: NatsText, pools: bool) -> LineRow:
    pool = f"pool {one_line(line.pool_id)}" if pools else ""
    if line.line_type == "unattributed":
        return LineRow("Not attributed", _amount(line), "", "", "", "", "", pool)
    name, title = one_line(line.source_id), one_line(line.title or "")
    small = [title if title != name else "", _licence(line), pool]
    return LineRow(
        name,
        _amount(line),
        "all" if Fraction(line.split) == 1 else line.split,
        nats(line.value_nats),
        f"{nats(line.ci_low_nats)} to {nats(line.ci_high_nats)}",
        nats(line.attribution_payable_nats),
        f"{line.tokens:,}",
        " · ".join(part for part in small if part),
    )


def _licence(line: StatementLine) -> str:
    """The licence, where somebody stated one; NOASSERTION is the SPDX word for nobody did."""
    return "" if line.license in (None, "NOASSERTION") else one_line(line.license)


def _total(s: Statement, nats: NatsText) -> LineRow:
    interval = f"{nats(s.interval.ci_low_nats)} to {nats(s.interval.ci_high_nats)}"
    counted = nats(s.attribution_payable_nats)
    return LineRow("Total", _amount(s), "", nats(s.value_nats), interval, counted, "")


def _amount(line: StatementLine | Statement) -> str:
    return line.amount.replace("-", "−")


def source_bars(s: Statement) -> list[Bar]:
    """One bar per source, in the order of the lines; a source with lines in several pools is drawn once."""
    bars: dict[tuple[str, str], Bar] = {}
    for line in s.lines:
        if line.line_type == "source":
            values = (Decimal(value) for value in (line.value_nats, line.ci_low_nats, line.ci_high_nats))
            bars.setdefault((line.source_id, line.value_nats), Bar(one_line(line.source_id), *values))
    return list(bars.values())
