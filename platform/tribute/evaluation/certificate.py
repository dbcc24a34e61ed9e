"""The quality certificate: a self-contained HTML page with the scores of the values."""

import math
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from tribute.evaluation.plots import cost_plot, coverage_plot, effects_plot, largest_intervals, measured

MISSING = "–"

# English, whatever the locale of the process.
_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
           "November", "December")  # fmt: skip
_SECTIONS = {
    "headline": ("misallocated_pool", "token_count", "equal", "ceiling", "coverage_95"),
    "ceiling": ("lds_half", "lds_tenth", "leave_source_out", "misallocated_pool"),
    "queries": ("tuning", "figures", "unlike_corpus"),
    "retrains": ("seeds", "leave_one_out", "half", "tenth", "other", "banked", "new"),
}


def render_certificate(figures: Mapping[str, Any]) -> str:
    """The certificate page: headline, pictures, methods, provenance.

    Shares are parts of 1, effects are in nats, costs in full trainings and forward passes. A number that was not
    measured (null) shows as an en dash. The page has no script and loads nothing. The same figures give the same
    bytes.

    Raises:
        jinja2.UndefinedError: a field of the figures is missing (and not null).
        KeyError: a row, effect or interval lacks a field of its pictures.
    """
    shown = largest_intervals(figures["intervals"] or [])
    return _PAGES.get_template("certificate.html.j2").render(
        **{**figures, **{name: _filled(figures[name], names) for name, names in _SECTIONS.items()}},
        month=_month(figures["period"]),
        retrained=_retrained(figures["retrains"] or {}),
        shown=len(shown),
        held=sum(i["low"] <= i["truth"] <= i["high"] for i in shown),
        pictures=_pictures(figures),
        ranked=ranked(figures["rows"] or []),
    )


def ranked(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The paid values, then the methods by LDS (half removed, another seed): best first, unmeasured last.

    `below_tokens` marks methods that misallocate more of the pool than token counts do.
    """
    counted = [measured(row["misallocated_pool"]) for row in rows if row["method"] == "token count"]
    tokens = next((wrong for wrong in counted if wrong is not None), math.inf)
    marked = [
        {**row, "below_tokens": row["kind"] != "baseline" and (measured(row["misallocated_pool"]) or 0.0) > tokens}
        for row in rows
    ]

    def place(row: Mapping[str, Any]) -> tuple[bool, float]:
        quality = measured((row["lds_half_other_seed"] or {}).get("value"))
        return row["kind"] != "payment", math.inf if quality is None else -quality

    return sorted(marked, key=place)


def _pictures(figures: Mapping[str, Any]) -> dict[str, Markup]:
    ceiling = (figures["ceiling"] or {}).get("lds_half")
    return {
        "effects": Markup(effects_plot(figures["effects"] or [])),
        "cost": Markup(cost_plot(figures["rows"] or [], ceiling)),
        "coverage": Markup(coverage_plot(figures["intervals"] or [])),
    }


def _filled(section: Mapping[str, Any] | None, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: (section or {}).get(name) for name in names}


def _retrained(retrains: Mapping[str, Any]) -> int | None:
    counts = [retrains.get(name) for name in ("leave_one_out", "half", "tenth", "other")]
    return sum(count or 0 for count in counts) if any(count is not None for count in counts) else None


def _month(period: str) -> str:
    first = date.fromisoformat(f"{period}-01")
    return f"{_MONTHS[first.month - 1]} {first.year}"


def _percent(value: Any) -> str:
    number = measured(value)
    return MISSING if number is None else f"{number:.1%}"


def _decimal(value: Any) -> str:
    number = measured(value)
    return MISSING if number is None else f"{number:.2f}".replace("-", "−")


def _significant(value: Any) -> str:
    number = measured(value)
    return MISSING if number is None else f"{float(f'{number:.2g}'):,g}".replace("-", "−")


def _count(value: Any) -> str:
    return MISSING if measured(value) is None else f"{value:,}"


def _range(estimate: Mapping[str, Any]) -> str:
    low, high = _decimal(estimate["low"]), _decimal(estimate["high"])
    if MISSING in (low, high):
        return ""
    return f"{low} to {high}" if low.startswith("−") else f"{low}–{high}"


_PAGES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_PAGES.filters |= {
    "percent": _percent,
    "decimal": _decimal,
    "significant": _significant,
    "number": _count,
    "interval": _range,
}
