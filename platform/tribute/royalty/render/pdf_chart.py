"""The bar chart of a statement drawn by reportlab: vectors and text. Binary floats make the picture, no amount."""

from collections.abc import Sequence
from math import ceil, floor, log10

from reportlab.graphics.shapes import Drawing, Line, Rect, String
from reportlab.lib.colors import HexColor

from tribute.royalty.render.chart import INK, PAID, QUIET, SHOWN, UNPAID, Bar, short
from tribute.royalty.render.pdf_fonts import font_for

_ROW, _AXIS, _LABELS = 17, 30, 150


def drawn_chart(bars: Sequence[Bar], width: float) -> Drawing:
    """The first bars with their intervals, top to bottom, as on the page; `width` in points."""
    shown = bars[:SHOWN]
    height = _ROW * len(shown) + _AXIS
    drawing = Drawing(width, height)
    low = min(0.0, *(float(bar.low) for bar in shown))
    high = max(0.0, *(float(bar.high) for bar in shown))
    step = _step(high - low)
    first, last = floor(low / step), max(ceil(high / step), floor(low / step) + 1)
    scale = (width - _LABELS - 12) / ((last - first) * step)

    def x(value: float) -> float:
        return _LABELS + (value - first * step) * scale

    for tick in range(first, last + 1):
        _tick(drawing, x(tick * step), height, _number(tick * step, step))
    for row, bar in enumerate(shown):
        middle = height - _ROW * row - _ROW / 2
        _bar(drawing, bar, middle, x(0.0), x(float(bar.value)), (x(float(bar.low)), x(float(bar.high))))
    drawing.add(Line(x(0.0), _AXIS, x(0.0), height, strokeColor=HexColor(INK), strokeWidth=0.8))
    drawing.add(_text(_LABELS + (width - _LABELS) / 2, 4, "value in the period, nats", QUIET, "middle"))
    return drawing


def _bar(drawing: Drawing, bar: Bar, y: float, zero: float, end: float, whisker: tuple[float, float]) -> None:
    color = HexColor(PAID if bar.value > 0 else UNPAID)
    drawing.add(Rect(min(zero, end), y - 5, abs(end - zero), 10, fillColor=color, strokeColor=None))
    low, high = min(whisker[0], end), max(whisker[1], end)
    for line in ((low, y, high, y), (low, y - 3, low, y + 3), (high, y - 3, high, y + 3)):
        drawing.add(Line(*line, strokeColor=HexColor(INK), strokeWidth=0.9))
    drawing.add(_text(_LABELS - 8, y - 3, short(bar.label, 26), INK, "end"))


def _tick(drawing: Drawing, x: float, height: float, text: str) -> None:
    drawing.add(Line(x, _AXIS, x, height, strokeColor=HexColor("#e3e8ea"), strokeWidth=0.6))
    drawing.add(_text(x, _AXIS - 11, text, INK, "middle"))


def _text(x: float, y: float, text: str, color: str, anchor: str) -> String:
    return String(x, y, text, fontName=font_for(text), fontSize=8, fillColor=HexColor(color), textAnchor=anchor)


def _step(span: float) -> float:
    """1, 2 or 5 times a power of ten, for at most eight steps."""
    if not span:
        return 1.0
    power = 10.0 ** floor(log10(span / 8))
    return next(power * factor for factor in (1.0, 2.0, 5.0, 10.0) if span / (power * factor) <= 8)


def _number(value: float, step: float) -> str:
    decimals = max(0, -floor(log10(step)))
    return f"{value:,.{decimals}f}".replace("-", "−")
