"""Charts of measured figures, drawn from the benchmarks' JSON files."""

from collections.abc import Iterator, Sequence
from html import escape

from docs.generate.figures import benchmark
from docs.generate.fronts import number as figure_of

LABEL, PLOT, RIGHT, ROW, TOP = 300, 340, 110, 24, 56
COLOURS = ("#3b6ea5", "#c2703d", "#5b8c5a", "#7a5ba6")
STYLE = "text{font:13px system-ui,sans-serif;fill:#1f2933}.axis{font-size:11px;fill:#52606d}.grid{stroke:#e4e7eb}"


def misallocation_chart() -> str:
    """Misallocated pool of every way to value sources, in the first markets of the benchmark."""
    table = benchmark("valuation")["tables"]["by_setting"]
    series = len(COLOURS)
    rows = [(row[0], row[1 : 1 + series], "") for row in table["rows"]]
    return _dots("Misallocated pool: lower is better", table["columns"][1 : 1 + series], rows, 50.0, " %")


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
            value = figure_of(cell)
            left = LABEL + PLOT * max(value, 0.0) / most
            yield f'<circle cx="{left:.1f}" cy="{top + 11}" r="5" fill="{COLOURS[number]}" fill-opacity="0.85"/>'
