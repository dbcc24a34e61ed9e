"""The picture of quality against the cost of a query: tribute's front above that of the others, or not."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from tribute.evaluation.plots import pareto_front

OURS, THEIRS = ("readout", "estimator"), ("peer",)
LOOKS = {"readout": ("#17566c", "o"), "estimator": ("#5ba3bb", "s"), "peer": ("#b3402a", "^")}


def front_plot(rows: Sequence[Mapping[str, Any]], ceiling: float | None) -> str:
    """SVG: a dot for every method with its 95% interval, a line for each side's front, and the names on it.

    Args:
        rows: `method`, `kind`, `query_in_forwards` and `lds_half_other_seed`; `intervals` where there are any.
    """
    with rc_context({"font.size": 8, "svg.fonttype": "none"}):
        figure = Figure(figsize=(10, 6), layout="tight")
        axes = figure.add_subplot(
            xscale="log", xlabel="forward passes a query", ylabel="LDS, half of the sources, other seed"
        )
        for row in rows:
            if row["kind"] in LOOKS and (row.get("query_in_forwards") or 0) > 0:
                _dot(axes, row)
        right = 30 * max(row.get("query_in_forwards") or 1.0 for row in rows)  # room for names
        for kinds, colour in ((OURS, LOOKS["readout"][0]), (THEIRS, LOOKS["peer"][0])):
            _front(axes, [row for row in rows if row["kind"] in kinds], colour, right)
        axes.set_xlim(right=right)
        levels = [(row["method"], row.get("lds_half_other_seed")) for row in rows if row["kind"] == "baseline"]
        for name, quality in [*levels, ("ceiling", ceiling)]:
            if quality:
                axes.axhline(quality, color="#8d989e", linewidth=0.8, linestyle="--")
                axes.annotate(name, (1, quality), xycoords=("axes fraction", "data"), ha="right", va="bottom")
        drawn = io.StringIO()
        figure.savefig(drawn, format="svg", metadata={"Date": None})
    return drawn.getvalue()


def _dot(axes: Any, row: Mapping[str, Any]) -> None:
    colour, marker = LOOKS[row["kind"]]
    cost, quality = row["query_in_forwards"], row["lds_half_other_seed"]
    axes.plot([cost], [quality], marker, color=colour, markersize=5)
    if low_high := (row.get("intervals") or {}).get("lds_half_other_seed"):
        axes.vlines(cost, *low_high, color=colour, linewidth=0.8, alpha=0.5)
    if row["kind"] == "peer":
        _name(axes, row)


def _front(axes: Any, rows: Sequence[Mapping[str, Any]], colour: str, right: float) -> None:
    """A step up at every method that nothing cheaper beats, and on to the right."""
    costing = [row for row in rows if (row.get("query_in_forwards") or 0) > 0 and row["lds_half_other_seed"]]
    front = pareto_front([(row["query_in_forwards"], row["lds_half_other_seed"]) for row in costing])
    if front:
        costs, qualities = zip(*front, strict=True)
        axes.step([*costs, right], [*qualities, qualities[-1]], where="post", color=colour, linewidth=1)
    for row in costing:
        if row["kind"] != "peer" and (row["query_in_forwards"], row["lds_half_other_seed"]) in front:
            _name(axes, row)


def _name(axes: Any, row: Mapping[str, Any]) -> None:
    spot = (row["query_in_forwards"], row["lds_half_other_seed"])
    axes.annotate(row["method"], spot, (4, 3), textcoords="offset points", fontsize=7)
