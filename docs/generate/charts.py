"""Charts of measured figures, drawn from the benchmarks' JSON files."""

import math
from collections.abc import Iterator, Sequence
from functools import partial
from html import escape

from docs.generate.figures import benchmark

LABEL, PLOT, RIGHT, ROW, TOP = 300, 340, 110, 24, 56
FRONT = 300
COLOURS = ("#3b6ea5", "#c2703d", "#5b8c5a", "#7a5ba6")
STYLE = "text{font:13px system-ui,sans-serif;fill:#1f2933}.axis{font-size:11px;fill:#52606d}.grid{stroke:#e4e7eb}"


def estimators_chart() -> str:
    """LDS of every method in four settings, with its cost per query; the best on MNIST 1,000 first."""
    table = benchmark("estimators")["tables"]["lds"]
    rows = [(row[0], row[1:5], f"{row[6]} passes") for row in table["rows"]]
    return _dots("LDS of one replicate, and forward passes per query", table["columns"][1:5], rows, 1.0, "")


def misallocation_chart() -> str:
    """Misallocated pool of every way to value sources, in the first markets of the benchmark."""
    table = benchmark("valuation")["tables"]["by_setting"]
    series = len(COLOURS)
    rows = [(row[0], row[1 : 1 + series], "") for row in table["rows"]]
    return _dots("Misallocated pool: lower is better", table["columns"][1 : 1 + series], rows, 50.0, " %")


def canonical_chart(setting: str) -> str:
    """LDS of every method of ours against its preparation, with the line that no cheaper method is above."""
    rows = benchmark("canonical")["tables"][setting]["rows"]
    points = [(float(row[6]), _number(row[1]), row[0].replace("`", "")) for row in rows if row[1] and row[6]]
    most = math.ceil(math.log10(max(cost for cost, _, _ in points)))
    least = min(-1, math.floor(math.log10(min(max(cost, 0.1) for cost, _, _ in points))))
    at = partial(_place, least=least, most=most)
    width, bottom = LABEL + PLOT + RIGHT, TOP + FRONT
    title = "LDS (other seeds) and trainings that the preparation takes"
    parts = [f'<rect width="{width}" height="{bottom + 26}" fill="#fff"/>', f'<text x="12" y="20">{title}</text>']
    for power in range(least, most + 1):
        left, _ = at(10.0**power, 0)
        parts.append(f'<path class="grid" d="M{left:.1f} {TOP}V{bottom}"/>')
        spot = f'x="{left:.1f}" y="{bottom + 16}" text-anchor="middle"'
        parts.append(f'<text class="axis" {spot}>{10.0**power:g}</text>')
    for tick in range(6):
        _, top = at(1, tick / 5)
        parts.append(f'<path class="grid" d="M60 {top:.1f}H{width - 60}"/>')
        parts.append(f'<text class="axis" x="52" y="{top + 4:.1f}" text-anchor="end">{tick / 5:g}</text>')
    front, highest = [], -math.inf
    for cost, lds, name in sorted(points):
        left, top = at(cost, lds)
        parts.append(f'<circle cx="{left:.1f}" cy="{top:.1f}" r="5" fill="{COLOURS[0]}" fill-opacity="0.85"/>')
        parts.append(f'<text class="axis" x="{left + 8:.1f}" y="{top + 4:.1f}">{escape(name)}</text>')
        if lds > highest:
            front.append(f"{left:.1f} {top:.1f}" if not front else f"H{left:.1f}V{top:.1f}")
            highest = lds
    parts.append(f'<path d="M{"".join(front)}H{width - 60}" fill="none" stroke="{COLOURS[1]}"/>')
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {bottom + 26}" role="img">'
    return "\n".join([head, f"<title>{title}</title>", f"<style>{STYLE}</style>", *parts, "</svg>\n"])


def _place(cost: float, lds: float, least: int, most: int) -> tuple[float, float]:
    """Where a method stands in the picture; what costs less than the least tick stands on it."""
    share = (math.log10(max(cost, 10.0**least)) - least) / (most - least)
    return 60 + (LABEL + PLOT + RIGHT - 120) * share, TOP + FRONT * (1 - max(lds, 0.0))


def _number(cell: str) -> float:
    """The figure before an interval."""
    return float(cell.partition(" ")[0].replace("−", "-"))


def _dots(
    title: str, series: Sequence[str], rows: Sequence[tuple[str, Sequence[str], str]], most: float, unit: str
) -> str:
    width, bottom = LABEL + PLOT + RIGHT, TOP + ROW * len(rows)
    parts = [f'<rect width="{width}" height="{bottom + 26}" fill="#fff"/>', f'<text x="12" y="20">{title}</text>']
    for number, name in enumerate(series):
        left = LABEL + number * 110
        parts.append(f'<circle cx="{left + 5}" cy="38" r="5" fill="{COLOURS[number]}"/>')
        parts.append(f'<text class="axis" x="{left + 15}" y="42">{escape(name)}</text>')
    for tick in range(6):
        value, left = most * tick / 5, LABEL + PLOT * tick / 5
        parts.append(f'<path class="grid" d="M{left:g} {TOP - 4}V{bottom}"/>')
        parts.append(
            f'<text class="axis" x="{left:g}" y="{bottom + 16}" text-anchor="middle">{value:g}{unit}</text>'
        )
    for number, row in enumerate(rows):
        parts += _row(row, TOP + ROW * number, most)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {bottom + 26}" role="img">'
    return "\n".join([head, f"<title>{title}</title>", f"<style>{STYLE}</style>", *parts, "</svg>\n"])


def _row(row: tuple[str, Sequence[str], str], top: int, most: float) -> Iterator[str]:
    name, cells, note = row
    label = escape(name.replace("`", "").replace("*", ""))
    yield f'<text x="{LABEL - 12}" y="{top + 16}" text-anchor="end">{label}</text>'
    yield f'<text class="axis" x="{LABEL + PLOT + RIGHT - 6}" y="{top + 16}" text-anchor="end">{note}</text>'
    for number, cell in enumerate(cells):
        if cell:
            value = float(cell.replace("−", "-").strip("*% "))
            left = LABEL + PLOT * max(value, 0.0) / most
            yield f'<circle cx="{left:.1f}" cy="{top + 11}" r="5" fill="{COLOURS[number]}" fill-opacity="0.85"/>'
