"""A bar chart with interval whiskers as inline SVG. Binary floats make the picture; no amount uses them."""

import io
import re
from collections.abc import Sequence
from decimal import Decimal
from html import escape
from threading import Lock
from typing import NamedTuple

import matplotlib as mpl
from matplotlib.figure import Figure

PAID, UNPAID, INK, QUIET = "#5ba3bb", "#b9c3c9", "#1b2429", "#5b6870"
SHOWN = 24
"""Bars in a picture; the table has all."""
_ROW_INCHES = 0.3
_WIDTH_INCHES = 5.2
_LABEL_CHARACTERS = 22
_ONE_AT_A_TIME = Lock()
"""matplotlib's settings belong to the process."""


class Bar(NamedTuple):
    """A label, its value and its interval, in nats."""

    label: str
    value: Decimal
    low: Decimal
    high: Decimal


def bar_chart(bars: Sequence[Bar], title: str, name: str) -> str:
    """Horizontal bars, top to bottom, with a whisker from low to high; the same bars give the same bytes.

    The first twenty-four bars are drawn. Values of 0 or less, which are paid nothing, are grey.

    Args:
        title: what a reader who does not see the picture is told it shows.
        name: makes the picture's ids its own among the pictures of a page.
    """
    shown = bars[:SHOWN]
    with _ONE_AT_A_TIME, mpl.rc_context():
        mpl.rcdefaults()
        mpl.rc("svg", fonttype="none", hashsalt=name)
        mpl.rc("font", family="DejaVu Sans", size=9)
        mpl.rc("text", parse_math=False)
        svg = _drawn(shown)
    return _inline(svg, title, _spoken(shown, len(bars)), name)


def _drawn(bars: Sequence[Bar]) -> str:
    height = _ROW_INCHES * len(bars) + 0.65
    figure = Figure(figsize=(_WIDTH_INCHES, height))
    axes = figure.add_axes((0.35, 0.5 / height, 0.62, 1 - 0.6 / height))
    rows = range(len(bars))
    values = [float(bar.value) for bar in bars]
    low = [max(0.0, float(bar.value - bar.low)) for bar in bars]
    high = [max(0.0, float(bar.high - bar.value)) for bar in bars]
    axes.barh(rows, values, height=0.62, color=[PAID if value > 0 else UNPAID for value in values])
    axes.errorbar(values, rows, xerr=(low, high), fmt="none", ecolor=INK, elinewidth=1.1, capsize=2.5)
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.set_yticks(rows, [short(bar.label) for bar in bars])
    axes.set_ylim(len(bars) - 0.4, -0.6)
    axes.set_xlabel("value in the period, nats", color=QUIET)
    axes.tick_params(length=0, colors=INK)
    axes.grid(axis="x", color="#e3e8ea", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in axes.spines.values():
        side.set_visible(False)
    out = io.StringIO()
    figure.savefig(
        out, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")), transparent=True
    )
    return out.getvalue()


def _inline(svg: str, title: str, description: str, name: str) -> str:
    """Without prolog, document type and metadata (addresses of standards); with a title and a description."""
    drawing = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL).strip()
    opening, rest = drawing.split(">", 1)
    size = re.search(r'viewBox="[^"]*"', opening)
    texts = (
        f'<title id="{name}-title">{escape(title)}</title>\n<desc id="{name}-desc">{escape(description)}</desc>'
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" role="img" '
        f'class="chart" {size[0] if size else ""} aria-labelledby="{name}-title {name}-desc">\n'
        f"{texts}{rest}"
    )


def _spoken(bars: Sequence[Bar], total: int) -> str:
    parts = [f"{bar.label}: {bar.value:.4g} nats, interval {bar.low:.4g} to {bar.high:.4g}" for bar in bars]
    rest = [f"{total - len(bars)} more are in the table"] if total > len(bars) else []
    return "; ".join([*parts, *rest])


def short(label: str, characters: int = _LABEL_CHARACTERS) -> str:
    """A label's beginning and end, so that long ids with one beginning stay apart."""
    if len(label) <= characters:
        return label
    end = characters // 3
    return f"{label[: characters - end - 1]}…{label[-end:]}"
