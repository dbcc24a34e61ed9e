"""Diagrams of the documentation: the rooms of the code from the linter's layers, and the flow of a valuation."""

import configparser
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

LAYERS = Path(__file__).parents[2] / ".importlinter"
WIDTH, ROW, PAD = 720, 34, 12
STYLE = (
    "text{font:14px system-ui,sans-serif;fill:#1f2933}.title{font-weight:600}.note{font-size:12px;fill:#52606d}"
    ".room{fill:#fff;stroke:#8fa3b8}.package{fill:#eef2f6;stroke:#c5d0db}.arrow{stroke:#52606d;fill:none}"
)
FLOW = (
    ("corpus", "read, find copies, snapshot", "corpus_sources, corpus_documents"),
    ("train", "one training per replicate, recorded", "trajectories, learning"),
    ("simulate", "the last steps again, without each source", "simulations, responses"),
    ("attribute", "each query, with and without each source", "influence, queries"),
    ("retrain", "without chosen sources, until precise enough", "retrains, measurements"),
    ("value", "sum by publisher, add intervals", "valuations"),
    ("settle", "divide the pool to the cent", "statements, statement_lines"),
    ("close", "post, sign, make final", "ledger, bundle.json"),
)


def rooms_diagram() -> str:
    """SVG of the packages and their layers, read from `.importlinter`; a room imports only what is below it."""
    packages = (
        ("jobs/tribute_jobs", "commands and scheduled jobs", _layers("jobs")),
        ("platform/tribute", "the science, the money and the service", _layers("platform")),
        ("storage/tribute_storage", "the lake: Parquet, Delta, DuckDB", _layers("storage")),
    )
    parts, top = [], PAD
    for name, subject, layers in packages:
        height = 40 + len(layers) * (ROW + 6) + PAD
        parts.append(_box(PAD, top, WIDTH - 2 * PAD, height, "package"))
        parts.append(_text(2 * PAD, top + 24, name, "title"))
        parts.append(_text(WIDTH - 2 * PAD, top + 24, subject, "note", "end"))
        for row, rooms in enumerate(layers):
            parts += _row(rooms, top + 36 + row * (ROW + 6))
        top += height + 2 * PAD
    return _svg(WIDTH, top - PAD, "Rooms of the code, from commands down to the lake", parts)


def flow_diagram() -> str:
    """SVG of one valuation: its stages from corpus to closing, and the tables that each commits."""
    parts, step = [], 58
    parts.append(_text(230, 24, "what it does", "note"))
    parts.append(_text(WIDTH - PAD, 24, "what it commits", "note", "end"))
    for row, (stage, does, commits) in enumerate(FLOW):
        top = 36 + row * step
        parts.append(_box(PAD, top, 190, 38, "room"))
        parts.append(_text(PAD + 95, top + 24, stage, "title", "middle"))
        parts.append(_text(230, top + 24, does, ""))
        parts.append(_text(WIDTH - PAD, top + 24, commits, "note", "end"))
        if row:
            parts.append(f'<path class="arrow" d="M{PAD + 95} {top - 20}V{top - 2}m-4 -6l4 6l4 -6"/>')
    return _svg(WIDTH, 36 + len(FLOW) * step, "Stages of one valuation, and the tables they commit", parts)


def _layers(contract: str) -> list[list[str]]:
    settings = configparser.ConfigParser()
    settings.read(LAYERS)
    lines = settings[f"importlinter:contract:{contract}"]["layers"].split("\n")
    return [[room.strip() for room in line.split("|")] for line in lines if line.strip()]


def _row(rooms: Sequence[str], top: int) -> Iterator[str]:
    width = (WIDTH - 4 * PAD - (len(rooms) - 1) * 8) / len(rooms)
    for column, room in enumerate(rooms):
        left = 2 * PAD + column * (width + 8)
        yield _box(left, top, width, ROW, "room")
        yield _text(left + width / 2, top + 22, room, "", "middle")


def _box(left: float, top: float, width: float, height: float, kind: str) -> str:
    return f'<rect class="{kind}" x="{left:g}" y="{top:g}" width="{width:g}" height="{height:g}" rx="4"/>'


def _text(left: float, top: float, text: str, kind: str, anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{left:g}" y="{top:g}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(width: float, height: float, title: str, parts: Sequence[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" role="img">'
    return f"{head}\n<title>{title}</title>\n<style>{STYLE}</style>\n" + "\n".join(parts) + "\n</svg>\n"
