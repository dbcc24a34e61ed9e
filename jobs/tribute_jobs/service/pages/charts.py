"""Where the marks of a page's charts stand. Macros of `charts.html.j2` draw them; no amount is computed from them.

A chart is `WIDTH` units wide and is stretched to its place, so it holds no text: labels stand beside it.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tribute_jobs.service.pages.wording import nats_digits
from tribute_jobs.service.views.figures import Interval

WIDTH, HEIGHT = 1000.0, 240.0
MARGIN = 16.0
"""Above and below a line."""
ROOM = 0.02
"""Part of a range that is left free beyond the marks."""


class Scale(NamedTuple):
    """A range of values, stretched over the width of a chart; 0 is always part of it."""

    low: float
    high: float

    @property
    def digits(self) -> int:
        """Digits after the point that tell its values apart."""
        return nats_digits(max(-self.low, self.high))

    def at(self, value: float) -> float:
        """Where a value stands, from 0 to `WIDTH`."""
        inside = min(max(value, self.low), self.high)
        return round(WIDTH * (inside - self.low) / (self.high - self.low), 1)


class MonthPoint(NamedTuple):
    """A month in a chart."""

    period: str
    interval: Interval
    final: bool


class LinePicture(NamedTuple):
    """A line over months with the band of its intervals; `top` and `bottom` are the values at its edges."""

    band: str
    line: str
    dots: tuple[tuple[float, float, bool], ...]
    zero: float
    top: float
    bottom: float
    digits: int


def scale_of(intervals: Iterable[Interval]) -> Scale:
    """The scale on which all intervals have room."""
    every = list(intervals)
    low = min((min(each.low, each.value) for each in every), default=0.0)
    high = max((max(each.high, each.value) for each in every), default=0.0)
    low, high = min(low, 0.0), max(high, 0.0)
    room = ROOM * (high - low) or 1.0
    return Scale(low and low - room, high + room)


def line_picture(points: Sequence[MonthPoint]) -> LinePicture:
    """A line through the months' values, evenly spaced, and the band between the ends of their intervals."""
    scale = scale_of(each.interval for each in points)
    step = WIDTH / max(len(points), 1)
    xs = [round(step * (number + 0.5), 1) for number in range(len(points))]

    def y(value: float) -> float:
        return round(HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * scale.at(value) / WIDTH, 1)

    highs = [f"{x},{y(each.interval.high)}" for x, each in zip(xs, points, strict=True)]
    lows = [f"{x},{y(each.interval.low)}" for x, each in zip(xs, points, strict=True)]
    values = [f"{x},{y(each.interval.value)}" for x, each in zip(xs, points, strict=True)]
    return LinePicture(
        band=" ".join([*highs, *reversed(lows)]),
        line=" ".join(values),
        dots=tuple((x, y(each.interval.value), each.final) for x, each in zip(xs, points, strict=True)),
        zero=y(0.0),
        top=scale.high,
        bottom=scale.low,
        digits=scale.digits,
    )
