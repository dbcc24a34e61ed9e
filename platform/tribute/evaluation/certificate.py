"""The quality certificate: a self-contained HTML page with the scores of the values."""

import math
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from tribute.evaluation.figures import Certificate, MethodFigures, ScoreFigure
from tribute.evaluation.plots import cost_plot, coverage_plot, effects_plot, largest_intervals, measured

MISSING = "–"

# English, whatever the locale of the process.
_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
           "November", "December")  # fmt: skip


def render_certificate(certificate: Certificate) -> str:
    """The certificate page: headline, pictures, methods, provenance.

    Shares are parts of 1, effects are in nats, costs in full trainings and forward passes. A number that was not
    measured shows as an en dash. The page has no script and loads nothing. The same figures give the same bytes.
    """
    shown, retrains = largest_intervals(certificate.intervals), certificate.retrains
    return _PAGES.get_template("certificate.html.j2").render(
        **dict(certificate),
        month=_month(certificate.period),
        retrained=retrains.leave_one_out + retrains.half + retrains.tenth + retrains.other,
        shown=len(shown),
        held=sum(payee.low <= payee.truth <= payee.high for payee in shown),
        pictures={
            "effects": Markup(effects_plot(certificate.effects)),
            "cost": Markup(cost_plot(certificate.rows, certificate.ceiling.lds_half)),
            "coverage": Markup(coverage_plot(certificate.intervals)),
        },
        ranked=ranked(certificate.rows),
    )


def ranked(rows: Sequence[MethodFigures]) -> list[tuple[MethodFigures, bool]]:
    """The paid values, then the methods by LDS (half removed, another seed if any): best first, unmeasured last.

    With each method, whether it misallocates more of the pool than token counts do.
    """
    counted = [measured(row.misallocated_pool) for row in rows if row.method == "token count"]
    tokens = next((wrong for wrong in counted if wrong is not None), math.inf)
    marked = [(row, row.kind != "baseline" and (measured(row.misallocated_pool) or 0.0) > tokens) for row in rows]

    def place(each: tuple[MethodFigures, bool]) -> tuple[bool, float]:
        figure = each[0].lds_half
        quality = measured(figure.value) if figure else None
        return each[0].kind != "payment", math.inf if quality is None else -quality

    return sorted(marked, key=place)


def _month(period: str) -> str:
    first = date.fromisoformat(f"{period}-01")
    return f"{_MONTHS[first.month - 1]} {first.year}"


def _percent(value: float | None) -> str:
    number = measured(value)
    return MISSING if number is None else f"{number:.1%}"


def _decimal(value: float | None) -> str:
    number = measured(value)
    return MISSING if number is None else f"{number:.2f}".replace("-", "−")


def _significant(value: float | None) -> str:
    number = measured(value)
    return MISSING if number is None else f"{float(f'{number:.2g}'):,g}".replace("-", "−")


def _megabytes(stored: int | None) -> str:
    return _significant(None if stored is None else stored / 1e6)


def _count(value: int) -> str:
    return f"{value:,}"


def _range(figure: ScoreFigure) -> str:
    low, high = _decimal(figure.low), _decimal(figure.high)
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
    "megabytes": _megabytes,
    "number": _count,
    "interval": _range,
}
_PAGES.tests["measured"] = lambda value: measured(value) is not None
