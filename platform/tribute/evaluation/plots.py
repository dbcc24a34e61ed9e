"""The certificate's three pictures as inline SVG. The same figures give the same bytes."""

import io
import math
import re
from collections.abc import Callable, Mapping, Sequence
from html import escape
from itertools import chain, product
from threading import Lock
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from tribute.evaluation.figures import EffectFigures, MethodFigures, PayeeFigures
from tribute.ids import short

SHOWN_INTERVALS = 30
_BLUE, _DEEP, _GREY, _MISSED, _INK, _QUIET = "#5ba3bb", "#17566c", "#8d989e", "#b3402a", "#1b2429", "#5b6870"
_LOOKS = {
    "payment": ("#c77d0a", "D"),
    "readout": (_DEEP, "o"),
    "estimator": (_BLUE, "s"),
    "baseline": (_GREY, "o"),
}
_PANELS = {"one": ("one source removed", _DEEP), "half": ("half removed", _BLUE)}
_DASHED: dict[str, Any] = {"color": _GREY, "linewidth": 0.8, "linestyle": (0, (4, 3))}
_LABEL_CHARACTERS, _FONT_POINTS, _LINE_POINTS = 20, 7.5, 8.6
_MAX_NAMED = 12
"""Methods up to which the picture of costs names all of them."""
_GROUND = {"facecolor": "white", "alpha": 0.7, "linewidth": 0, "pad": 0.4}
_LINES_AWAY = (0, 1, -1, 2, -2, 3, -3, 4, -4, 5, -5, 6, -6)
_SETTINGS_LOCK = Lock()
"""matplotlib's settings are global to the process."""

Point = tuple[float, float]


def measured(value: float | None) -> float | None:
    """The number, or None where nothing was measured: None, NaN or infinite."""
    return value if value is not None and math.isfinite(value) else None


def pareto_front(points: Sequence[Point]) -> list[Point]:
    """The (cost, quality) points that no other point beats, in order of rising cost and quality."""
    front: list[Point] = []
    for cost, quality in sorted(points, key=lambda point: (point[0], -point[1])):
        if not front or quality > front[-1][1]:
            front.append((cost, quality))
    return front


def largest_intervals(intervals: Sequence[PayeeFigures]) -> list[PayeeFigures]:
    """The up to thirty completely measured intervals with the largest values, the largest first."""
    complete = [i for i in intervals if None not in [measured(end) for end in (i.value, i.low, i.high, i.truth)]]
    return sorted(complete, key=lambda i: (-i.value, i.source_id))[:SHOWN_INTERVALS]


def effects_plot(effects: Sequence[EffectFigures]) -> str:
    """Predicted against real effect in nats, a panel for each kind of removal; "" if nothing was measured."""
    known = [e for e in effects if None not in (measured(e.predicted), measured(e.real))]
    kinds = [kind for kind in _PANELS if any(e.removed == kind for e in known)]
    panels = {kind: [(e.predicted, e.real) for e in known if e.removed == kind] for kind in kinds}
    parts = (f"{_PANELS[kind][0]}, {len(points)} retrainings" for kind, points in panels.items())
    title = f"Predicted effect against the effect of really retraining: {'; '.join(parts)}"
    return _picture("effects", title, (3.6, 1.85), lambda figure: _effects(figure, panels)) if panels else ""


def cost_plot(rows: Sequence[MethodFigures], ceiling: float | None = None) -> str:
    """LDS (half removed, another seed if any) over forward passes a query, with the front; "" if unmeasured.

    The front joins the read-outs and estimators that no other one beats in both. Methods without a query cost are
    at the left edge. ``ceiling`` is drawn as a dashed line. With many methods, only the paid values, the front and
    the baselines have names.
    """
    shown = [row for row in rows if _quality(row) is not None]
    parts = (f"{row.method}: LDS {_quality(row):.2f}" for row in shown)
    title = f"Quality of each method over its cost: {'; '.join(parts)}"
    return _picture("cost", title, (3.6, 2.0), lambda figure: _costs(figure, shown, ceiling)) if shown else ""


def coverage_plot(intervals: Sequence[PayeeFigures]) -> str:
    """Each source's 95% interval and the retrained truth as a dot, at most thirty sources; "" if unmeasured."""
    shown = largest_intervals(intervals)
    parts = (f"{i.source_id}: {i.low:.1%} to {i.high:.1%}, truth {i.truth:.1%}" for i in shown)
    title = f"95% intervals of the shares, and the retrained truth: {'; '.join(parts)}"
    return _picture("coverage", title, (3.6, 4.15), lambda figure: _coverage(figure, shown)) if shown else ""


def _effects(figure: Figure, panels: Mapping[str, Sequence[Point]]) -> None:
    for place, (removed, points) in enumerate(panels.items()):
        what, colour = _PANELS[removed]
        bounds = (0.145 + 0.465 * place, 0.2, 0.37, 0.37 * 3.6 / 1.85)
        axes = _axes(figure, bounds, "predicted, nats", "" if place else "real, nats")
        low, high = (extreme(map(extreme, points)) for extreme in (min, max))
        margin = 0.06 * (high - low) or 1.0
        axes.axline((low, low), (high + margin, high + margin), **_DASHED)
        axes.scatter([x for x, _ in points], [y for _, y in points], s=9, color=colour, linewidths=0)
        axes.set(xlim=(low - margin, high + margin), ylim=(low - margin, high + margin))
        axes.set_title(what, fontsize=_FONT_POINTS, pad=2)
        axes.locator_params(nbins=4)


def _costs(figure: Figure, rows: Sequence[MethodFigures], ceiling: float | None) -> None:
    axes = _axes(figure, (0.115, 0.195, 0.865, 0.785), "forward passes a query", "LDS")
    costs = [cost for row in rows if (cost := _cost(row))] or [1.0]
    edge, most = min(costs) / 4, max(costs)
    dots = [(_cost(row) or edge, _quality(row) or 0.0) for row in rows]
    ends = [[measured(getattr(row.lds_half, end)) for end in ("low", "high")] for row in rows]
    heights = [y for y in (0.0, measured(ceiling), *chain(*ends), *(y for _, y in dots)) if y is not None]
    axes.set(xscale="log", xlim=(edge / 1.4, most * 12), ylim=(min(heights) - 0.06, max(heights) * 1.04 + 0.06))
    axes.minorticks_off()
    axes.set_xticks(*_cost_ticks(edge, min(costs), most))
    if (top := measured(ceiling)) is not None:
        axes.axhline(top, **_DASHED)
    for row, (x, y), (low, high) in zip(rows, dots, ends, strict=True):
        colour, marker = _LOOKS[row.kind]
        if low is not None and high is not None:
            axes.vlines(x, low, high, color=colour, linewidth=0.8, alpha=0.55)
        axes.plot([x], [y], marker, color=colour, markersize=4.5, markeredgewidth=0)
    joined = [row.kind in ("readout", "estimator") and _cost(row) > 0 for row in rows]
    front = pareto_front([dot for dot, chosen in zip(dots, joined, strict=True) if chosen])
    axes.plot([x for x, _ in front], [y for _, y in front], color=_DEEP, linewidth=0.9, zorder=1)
    named = [
        (short(row.method, _LABEL_CHARACTERS), dot)
        for row, dot in zip(rows, dots, strict=True)
        if len(rows) <= _MAX_NAMED or row.kind in ("payment", "baseline") or dot in front
    ]
    _label(axes, [name for name, _ in named], [dot for _, dot in named])


def _cost_ticks(edge: float, least: float, most: float) -> tuple[list[float], list[str]]:
    decades = range(math.floor(math.log10(least)), math.ceil(math.log10(most * 12)) + 1)
    ticks = (10.0**decade for decade in decades[:: 1 + len(decades) // 9])
    shown = [tick for tick in ticks if least * 0.9 <= tick <= most * 12]
    return [edge, *shown], ["none", *(f"{tick:g}" for tick in shown)]


def _label(axes: Axes, labels: Sequence[str], dots: Sequence[Point]) -> None:
    """Place each label where it covers least: next to its dot, or some lines above or below with a line to it."""
    spots = axes.transData.transform(dots)
    taken = [Bbox.from_bounds(x - 3, y - 3, 6, 6) for x, y in spots]
    for label, (x, y) in zip(labels, spots, strict=True):
        width = 0.56 * _FONT_POINTS * len(label)
        lefts = (x + 5, x - 5 - width, x - width / 2)
        bottoms = [y + (lines - 0.5) * _LINE_POINTS for lines in _LINES_AWAY]
        places = [Bbox.from_bounds(left, low, width, _LINE_POINTS) for low, left in product(bottoms, lefts)]
        inside = [place for place in places if axes.bbox.count_contains(place.get_points()) == 2]
        box = min(inside or places, key=lambda place: place.count_overlaps(taken))
        taken.append(box)
        end, middle = min(max(x, box.x0), box.x1), (box.y0 + box.y1) / 2
        if abs(middle - y) > _LINE_POINTS / 2:
            axes.plot([x, end], [y, middle], color=_GREY, linewidth=0.5, zorder=1, transform=None)
        axes.text(box.x0, middle, label, transform=None, va="center", color=_INK, bbox=_GROUND, parse_math=False)


def _coverage(figure: Figure, shown: Sequence[PayeeFigures]) -> None:
    axes = _axes(figure, (0.37, 0.085, 0.61, 0.91), "share of the total, %")
    low, high, value, truth = (
        [100 * getattr(i, name) for i in shown] for name in ("low", "high", "value", "truth")
    )
    rows = range(len(shown))
    held = [i.low <= i.truth <= i.high for i in shown]
    axes.hlines(rows, low, high, color=_BLUE, linewidth=3.2)
    axes.scatter(value, rows, marker="|", s=26, color=_DEEP, linewidths=1)
    axes.scatter(truth, rows, s=11, color=[_INK if inside else _MISSED for inside in held], linewidths=0, zorder=3)
    axes.set_yticks(rows, [short(i.source_id, _LABEL_CHARACTERS) for i in shown])
    axes.set_ylim(max(len(shown), 6) - 0.4, -0.6)


def _axes(figure: Figure, place: tuple[float, float, float, float], x: str, y: str = "") -> Axes:
    axes = figure.add_axes(place)
    axes.set_xlabel(x, color=_QUIET)
    axes.set_ylabel(y, color=_QUIET)
    axes.tick_params(length=0, colors=_INK)
    axes.grid(color="#e3e8ea", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[:].set_visible(False)
    return axes


def _quality(row: MethodFigures) -> float | None:
    return measured(row.lds_half.value) if row.lds_half else None


def _cost(row: MethodFigures) -> float:
    return max(measured(row.query_in_forwards) or 0.0, 0.0)


def _picture(name: str, title: str, inches: tuple[float, float], draw: Callable[[Figure], None]) -> str:
    with _SETTINGS_LOCK, mpl.rc_context():
        mpl.rcdefaults()
        mpl.rc("svg", fonttype="none", hashsalt=name)
        mpl.rc("font", family="DejaVu Sans", size=_FONT_POINTS)
        mpl.rc("text", parse_math=False)
        figure = Figure(figsize=inches, dpi=72)
        draw(figure)
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    return _inline(out.getvalue(), title, name)


def _inline(svg: str, title: str, name: str) -> str:
    """The SVG without prolog and metadata, with ids that are unique among the page's pictures."""
    drawing = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL).strip()
    drawing = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", drawing)
    opening, rest = drawing.split(">", 1)
    [size] = re.findall(r'viewBox="[^"]*"', opening)
    spaces = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    heading = f'<title id="{name}-title">{escape(title)}</title>'
    return f'<svg {spaces} role="img" class="chart" {size} aria-labelledby="{name}-title">{heading}{rest}'
