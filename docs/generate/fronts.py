"""Pictures of quality against cost: two panels, and in each the front of tribute and that of other libraries."""

import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

from docs.generate.figures import benchmark

from tribute.evaluation.plots import pareto_front

PANEL, HEIGHT, LEFT, TOP, GAP, RIGHT = 380, 320, 48, 66, 50, 16
NAME, PART = 26, 11
"""Letters of a name that are shown, and pixels between names that would overlap."""
OURS, THEIRS, BASELINE = "tribute", "other libraries", "no model"
LOOKS = {OURS: "#3b6ea5", THEIRS: "#c2703d", BASELINE: "#7b8794"}
STYLE = "text{font:13px system-ui,sans-serif;fill:#1f2933}.axis{font-size:11px;fill:#52606d}.grid{stroke:#e4e7eb}"
OTHER_LIBRARY = "(other library)"


class Point(NamedTuple):
    """A method: LDS, and its costs: trainings of the preparation, forward passes of a query."""

    name: str
    side: str
    lds: float
    prepare: float
    query: float


PANELS = {"query": "forward passes of a query", "prepare": "trainings of the preparation"}


def front_of(name: str, setting: str, title: str) -> str:
    """The picture of a table of `docs/benchmarks/NAME.json`, whose columns it finds by their names."""
    table = benchmark(name)["tables"][setting]
    lds, prepare, query = (
        next(index for index, column in enumerate(table["columns"]) if column.startswith(begins))
        for begins in ("LDS", "preparation", "query")
    )
    points = []
    for row in table["rows"]:
        if row[lds] and row[prepare] and row[query]:
            costs = [float(row[index].replace(",", "")) for index in (prepare, query)]
            label = row[0].replace("`", "").replace(OTHER_LIBRARY, "").strip()
            side = THEIRS if OTHER_LIBRARY in row[0] else BASELINE if not any(costs) else OURS
            points.append(Point(label, side, number(row[lds]), *costs))
    return front_chart(title, points)


def points_of(rows: Sequence[Mapping[str, Any]]) -> list[Point]:
    """The same of measured rows with a `kind`."""
    sides = {"readout": OURS, "estimator": OURS, "peer": THEIRS, "baseline": BASELINE}
    return [
        Point(
            row["method"],
            sides[row["kind"]],
            row["lds_half_other_seed"],
            row["prepare_in_trainings"],
            row["query_in_forwards"],
        )
        for row in rows
        if row.get("lds_half_other_seed") is not None and row["kind"] in sides
    ]


def number(cell: str) -> float:
    """The figure before an interval or a unit; bold ones have stars around."""
    return float(cell.strip("*").partition(" ")[0].replace("−", "-"))


def front_chart(title: str, points: Sequence[Point]) -> str:
    """SVG: a dot for each method, and a line for each side that joins what none of that side beats in both."""
    width, bottom = LEFT + 2 * PANEL + GAP + RIGHT, TOP + HEIGHT
    parts = [f'<rect width="{width}" height="{bottom + 40}" fill="#fff"/>', f'<text x="12" y="20">{title}</text>']
    for index, (side, colour) in enumerate(LOOKS.items()):
        parts.append(f'<circle cx="{17 + 130 * index}" cy="42" r="5" fill="{colour}"/>')
        parts.append(f'<text class="axis" x="{27 + 130 * index}" y="46">{side}</text>')
    for index, (cost, label) in enumerate(PANELS.items()):
        parts += _panel(points, cost, label, LEFT + index * (PANEL + GAP))
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {bottom + 40}" role="img">'
    return "\n".join([head, f"<title>{title}</title>", f"<style>{STYLE}</style>", *parts, "</svg>\n"])


def _panel(points: Sequence[Point], cost: str, label: str, left: int) -> Iterator[str]:
    """One panel; what costs less than its first power of ten stands at the left edge."""
    costs = [getattr(point, cost) for point in points]
    least = math.floor(math.log10(max(0.1, min([each for each in costs if each > 0], default=1.0))))
    most = max(least + 1, math.ceil(math.log10(max([*costs, 1.0]))))

    def place(spent: float, lds: float) -> tuple[float, float]:
        share = (math.log10(max(spent, 10.0**least)) - least) / (most - least)
        return left + 8 + (PANEL - 16) * share, TOP + HEIGHT * (1 - min(max(lds, 0.0), 1.0))

    for power in range(least, most + 1):
        x, _ = place(10.0**power, 0)
        yield f'<path class="grid" d="M{x:.1f} {TOP}V{TOP + HEIGHT}"/>'
        spot = f'x="{x:.1f}" y="{TOP + HEIGHT + 16}" text-anchor="middle"'
        yield f'<text class="axis" {spot}>{10.0**power:,g}</text>'
    for tick in range(6):
        _, y = place(1, tick / 5)
        yield f'<path class="grid" d="M{left} {y:.1f}H{left + PANEL}"/>'
        yield f'<text class="axis" x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{tick / 5:g}</text>'
    spot = f'x="{left + PANEL / 2:g}" y="{TOP + HEIGHT + 34}" text-anchor="middle"'
    yield f'<text class="axis" {spot}>LDS against {label}</text>'
    for point in points:
        x, y = place(getattr(point, cost), point.lds)
        told = escape(f"{point.name}: LDS {point.lds:.2f}, {getattr(point, cost):,.3g} {label}")
        look = f'fill="{LOOKS[point.side]}" fill-opacity="0.85"'
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" {look}><title>{told}</title></circle>'
    taken: list[tuple[float, float, float]] = []
    for side in (OURS, THEIRS):
        front = pareto_front([(getattr(p, cost), p.lds) for p in points if p.side == side])
        places = [place(*each) for each in front]
        steps = "".join(f"H{x:.1f}V{y:.1f}" for x, y in places[1:])
        if front:
            line = f'd="M{places[0][0]:.1f} {places[0][1]:.1f}{steps}H{left + PANEL}"'
            yield f'<path {line} fill="none" stroke="{LOOKS[side]}"/>'
        names = {(getattr(p, cost), p.lds): p.name for p in points if p.side == side}
        for each, (x, y) in zip(front, places, strict=True):
            yield _name(names[each], x, y, left + PANEL, LOOKS[side], taken)


def _name(name: str, x: float, y: float, edge: int, colour: str, taken: list[tuple[float, float, float]]) -> str:
    """The name of a method above its dot, or higher where other names are; `taken` holds their places."""
    shown = name if len(name) <= NAME else f"{name[: NAME - 1]}…"
    width = 6.0 * len(shown)
    start, height = min(x + 5, edge - width), y - 4
    while any(start < end and begin < start + width and abs(height - at) < PART for begin, end, at in taken):
        height -= PART
    taken.append((start, start + width, height))
    return f'<text class="axis" style="fill:{colour}" x="{start:.1f}" y="{height:.1f}">{escape(shown)}</text>'
