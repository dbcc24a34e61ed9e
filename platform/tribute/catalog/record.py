"""The MLflow record of a valuation."""

import json
from typing import Any

import numpy as np
import pyarrow as pa

from tribute.catalog.report import Valuation, valuation_report
from tribute.catalog.runs import lineage
from tribute.config import Project
from tribute.tracking import TrackedRun
from tribute_storage import open_tables


def valuation_record(project: Project, valuation: Valuation) -> TrackedRun:
    """The MLflow record of a valuation: settings, inputs, quality metrics and the table; no amounts of money."""
    publishers = valuation.publishers()
    values = np.array([max(row["value_nats"], 0.0) for row in publishers])
    widths = [row["share_high"] - row["share_low"] for row in publishers]
    runs = lineage(project)
    return TrackedRun(
        valuation.run_id,
        f"{valuation.period} {valuation.run_id}",
        "valuation",
        tags={"period": valuation.period, "simulate_run": runs.simulate_run, "train_run": runs.train_run},
        parameters={
            **_flat("training", project.training.model_dump(mode="json")),
            **_flat("simulation", project.simulation.model_dump(mode="json")),
            **_flat("valuation", project.valuation.model_dump(mode="json")),
            "notion": "leave_one_out",
        },
        metrics={
            "expected_misallocation": publishers[0]["expected_misallocation"],
            "queries": publishers[0]["queries"],
            "token_count_weight": publishers[0]["shrinkage"],
            "total_value_nats": float(values.sum()),
            "mean_interval_width_share": float(np.mean(widths)),
            "gini": _gini(values),
        },
        inputs=_inputs(project, valuation.period),
        tables={"valuations": valuation.rows},
        texts={"report.json": json.dumps(valuation_report(valuation), indent=2)},
    )


def _inputs(project: Project, period: str) -> dict[str, tuple[pa.Table, str]]:
    """The corpus that was trained on and the queries of the period, each with the table it lies in."""
    runs, root = lineage(project), project.lake_root
    with open_tables(root, "corpus_sources", "queries") as connection:
        corpus = connection.sql("select * from corpus_sources where run_id = $1", params=[runs.corpus_run])
        queries = connection.sql(
            "select run_id, query_id, origin, weight, inclusion_probability, content_sha256 from queries "
            "where simulate_run = $1 and period = $2 order by all",
            params=[runs.simulate_run, period],
        )
        found = {"corpus_sources": corpus.to_arrow_table(), "queries": queries.to_arrow_table()}
    return {name: (rows, f"{root}/{name}") for name, rows in found.items()}


def _flat(prefix: str, settings: dict[str, Any]) -> dict[str, str]:
    return {f"{prefix}.{name}": str(value) for name, value in settings.items()}


def _gini(values: np.ndarray) -> float:
    """Gini coefficient of non-negative values: 0 = all alike, near 1 = one takes all."""
    ordered = np.sort(values)
    if not ordered.sum():
        return 0.0
    ranks = np.arange(1, len(ordered) + 1)
    return float((2 * ranks - len(ordered) - 1) @ ordered / (len(ordered) * ordered.sum()))
