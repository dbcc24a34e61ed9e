"""The rows of a setting: every method on the bank, beside what others published.

Legend: N training examples, Q queries.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.benchmarks.canonical.methods import Estimated
from tribute.evaluation.bank import PublishedFigure, RetrainBank
from tribute.evaluation.bank_scores import bank_scores

HALVES = ("lds_half_other_seed", "lds_half_same_seed", "lds_percent")
SINGLES = ("leave_one_out", "leave_one_out_deleted")
SAME = {
    "conjugate_gradient": "influence function by CG",
    "trak": "TRAK, 1 model",
    "trak, 10 models": "TRAK, 10 models",
    "tracin": "TracIn",
    "gradient_dot": "gradient product",
    "gradient_cosine": "gradient cosine",
}
"""The published method that a method of ours is a version of."""
SHOWN = (*HALVES, *SINGLES, "qld")
RESAMPLES = 100
"""Bootstrap resamples behind an interval."""
Row = Mapping[str, Any]


def row(bank: RetrainBank, each: Estimated, peer: bool) -> Row:
    """Scores with intervals, costs, and the published figure of the same method.

    A score is None where the bank has no such retrainings, and the LDS of an estimate that has no score for most
    examples.
    """
    scores = bank_scores(each.score_NQ.astype(float), bank, RESAMPLES).as_row()
    if not each.whole:
        scores |= dict.fromkeys(HALVES)
    return {
        "method": each.method,
        "peer": peer,
        **scores,
        "qld": None,
        "prepare_in_trainings": each.prepare_in_trainings,
        "query_in_forwards": each.query_in_forwards,
        "bytes": each.stored_bytes,
        "published": _published(bank.settings.published, SAME.get(each.method, each.method)),
    }


def _published(figures: Sequence[PublishedFigure], method: str) -> list[dict[str, Any]]:
    """What was published of a method: `metric`, `value` and `source`."""
    return [
        {"metric": figure.metric, "value": figure.value, "source": figure.source}
        for figure in figures
        if figure.method == method
    ]


def show(name: str, rows: Sequence[Row], published: Sequence[PublishedFigure]) -> None:
    """Print the rows, the best LDS first, and what others published among them."""
    table = Table(title=f"{name}: 95% intervals; costs in trainings and in forward passes a query")
    told = ("LDS half", "same seed", "1 % left out", "leave-one-out", "deleted", "QLD")
    titles = ["method", *told, "prepare", "query", "MB"]
    lines = [(_value(row), _cells(row)) for row in rows]
    for method in dict.fromkeys(figure.method for figure in published):
        figures = {figure.metric: figure.value for figure in published if figure.method == method}
        shown = [f"{figures[key]:.3f}" if key in figures else "" for key in SHOWN]
        lines.append((figures.get(HALVES[0], -1.0), [f"published: {method}", *shown, "", "", ""]))
    lines.sort(key=lambda line: -line[0])
    titles, shown_rows = filled(titles, [cells for _, cells in lines])
    for title in titles:
        table.add_column(title, justify="left" if title == "method" else "right")
    for cells in shown_rows:
        table.add_row(*cells, style="dim" if cells[0].startswith("published") else None)
    Console(width=170).print(table)


def filled(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> tuple[list[str], list[list[str]]]:
    """The columns in which any row has something."""
    kept = [column for column in range(len(titles)) if any(cells[column] for cells in rows)]
    return [titles[column] for column in kept], [[cells[column] for column in kept] for cells in rows]


def _value(row: Row) -> float:
    return float(row[HALVES[0]]["value"]) if row[HALVES[0]] else -1.0


def _cells(row: Row) -> list[str]:
    figures = [row[key] for key in SHOWN]
    shown = ["" if f is None else f"{f['value']:.3f} [{f['low']:.2f}, {f['high']:.2f}]" for f in figures]
    stored = "" if row["bytes"] is None else f"{row['bytes'] / 1e6:,.1f}"
    costs = [f"{row['prepare_in_trainings']:.1f}", f"{row['query_in_forwards']:,.0f}", stored]
    return [f"{row['method']}{' (peer)' if row['peer'] else ''}", *shown, *costs]
