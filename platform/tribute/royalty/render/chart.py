"""A bar chart with interval whiskers: laid out once, drawn as SVG here and as PDF in `pdf_parts`.

Binary floats place the marks; no amount is computed from them.
"""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from html import escape
from math import ceil, floor, log10
from typing import Literal, NamedTuple

from tribute.royalty.exact.text import short

PAID, UNPAID, INK, QUIET, GRID = "#5ba3bb", "#b9c3c9", "#1b2429", "#5b6870", "#e3e8ea"
SHOWN = 24
"""Bars in a picture; the table has all."""
TEXT_SIZE = 8
_ROW, _AXIS, _LABELS, _MARGIN = 17, 30, 150, 12
_LABEL_CHARACTERS = 26
_MOST_STEPS = 8


class Bar(NamedTuple):
    """A label, its value and its interval, in nats."""

    label: str
    value: Decimal
    low: Decimal
    high: Decimal


class Stroke(NamedTuple):
    """A straight line between two points."""

    x1: float
    y1: float
    x2: float
    y2: float
    color: str
    width: float


class Block(NamedTuple):
    """A filled rectangle, from its upper left corner."""

    x: float
    y: float
    width: float
    height: float
    color: str


class Label(NamedTuple):
    """Text on one line; `x` is where it starts, ends or has its middle."""

    x: float
    y: float
    text: str
    color: str
    anchor: Literal["start", "middle", "end"]


class Picture(NamedTuple):
    """Marks in the order they are drawn, in points; x grows to the right, y downwards."""

    width: float
    height: float
    marks: tuple[Stroke | Block | Label, ...]


def bar_picture(bars: Sequence[Bar], width: float) -> Picture:
    """Horizontal bars, top to bottom, each with a whisker from low to high.

    Only the first `SHOWN` bars are drawn. Bars of 0 or less, which are paid nothing, are grey.
    """
    shown = bars[:SHOWN]
    return Picture(width, _ROW * len(shown) + _AXIS, tuple(_marks(shown, width)))


def bar_chart(bars: Sequence[Bar], title: str, name: str, width: float = 400) -> str:
    """The picture of the bars as inline SVG; the same bars give the same bytes.

    Args:
        title: what the picture shows, for readers who do not see it.
        name: prefix of the picture's ids, unique in its page.
    """
    picture = bar_picture(bars, width)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" class="chart" viewBox="0 0 {picture.width:g} '
        f'{picture.height:g}" font-size="{TEXT_SIZE}" '
        f'aria-labelledby="{name}-title {name}-desc">\n'
        f'<title id="{name}-title">{escape(title)}</title>\n'
        f'<desc id="{name}-desc">{escape(_description(bars))}</desc>\n'
        f"{''.join(map(_element, picture.marks))}</svg>"
    )


def _marks(bars: Sequence[Bar], width: float) -> Iterator[Stroke | Block | Label]:
    low = min(0.0, *(float(bar.low) for bar in bars))
    high = max(0.0, *(float(bar.high) for bar in bars))
    step = _step(high - low)
    first, last = floor(low / step), max(ceil(high / step), floor(low / step) + 1)
    scale = (width - _LABELS - _MARGIN) / ((last - first) * step)
    foot = float(_ROW * len(bars))

    def x(value: float) -> float:
        return _LABELS + (value - first * step) * scale

    for tick in range(first, last + 1):
        yield Stroke(x(tick * step), 0, x(tick * step), foot, GRID, 0.6)
        yield Label(x(tick * step), foot + 11, _number(tick * step, step), INK, "middle")
    for row, bar in enumerate(bars):
        yield from _bar(
            bar, _ROW * (row + 0.5), x(0.0), x(float(bar.value)), x(float(bar.low)), x(float(bar.high))
        )
    yield Stroke(x(0.0), 0, x(0.0), foot, INK, 0.8)
    yield Label(_LABELS + (width - _LABELS) / 2, foot + 26, "value in the period, nats", QUIET, "middle")


def _bar(bar: Bar, y: float, zero: float, end: float, low: float, high: float) -> Iterator[Stroke | Block | Label]:
    yield Block(min(zero, end), y - 5, abs(end - zero), 10, PAID if bar.value > 0 else UNPAID)
    left, right = min(low, end), max(high, end)
    yield Stroke(left, y, right, y, INK, 0.9)
    yield Stroke(left, y - 3, left, y + 3, INK, 0.9)
    yield Stroke(right, y - 3, right, y + 3, INK, 0.9)
    yield Label(_LABELS - 8, y + 3, short(bar.label, _LABEL_CHARACTERS), INK, "end")


def _element(mark: Stroke | Block | Label) -> str:
    match mark:
        case Stroke(x1, y1, x2, y2, color, width):
            place = f'x1="{x1:.2f}" y1="{y1:.2f}" x2="{x2:.2f}" y2="{y2:.2f}"'
            return f'<line {place} stroke="{color}" stroke-width="{width:g}"/>\n'
        case Block(x, y, width, height, color):
            place = f'x="{x:.2f}" y="{y:.2f}" width="{width:.2f}" height="{height:.2f}"'
            return f'<rect {place} fill="{color}"/>\n'
        case Label(x, y, text, color, anchor):
            place = f'x="{x:.2f}" y="{y:.2f}"'
            return f'<text {place} fill="{color}" text-anchor="{anchor}">{escape(text)}</text>\n'


def _description(bars: Sequence[Bar]) -> str:
    parts = [
        f"{bar.label}: {bar.value:.4g} nats, interval {bar.low:.4g} to {bar.high:.4g}" for bar in bars[:SHOWN]
    ]
    rest = [f"{len(bars) - SHOWN} more are in the table"] if len(bars) > SHOWN else []
    return "; ".join([*parts, *rest])


def _step(span: float) -> float:
    """Distance of the ticks: 1, 2 or 5 times a power of ten, so that `_MOST_STEPS` or fewer cover the span."""
    if not span:
        return 1.0
    power = 10.0 ** floor(log10(span / _MOST_STEPS))
    return next(power * factor for factor in (1.0, 2.0, 5.0, 10.0) if span / (power * factor) <= _MOST_STEPS)


def _number(value: float, step: float) -> str:
    decimals = max(0, -floor(log10(step)))
    return f"{value:,.{decimals}f}".replace("-", "−")
