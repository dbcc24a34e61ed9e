"""An evaluation's figures as the lake and MLflow keep them."""

import json
from collections.abc import Mapping
from typing import Any

from tribute.evaluation.certificate import render_certificate
from tribute.evaluation.study import LDS, Scores
from tribute.tracking import TrackedRun

RANK_SCORES = (*LDS, "leave_source_out")
MEASURED = (*RANK_SCORES, "misallocated_pool", "prepare_in_trainings", "query_in_forwards")
"""The figures of a method, in the order of the table `evaluations`."""


def method_row(
    method: str, kind: str, scores: Scores, prepare_in_trainings: float, query_in_forwards: float
) -> dict[str, Any]:
    """A method's row in the certificate and in the table `evaluations`.

    Args:
        kind: `readout`, `estimator` or `baseline`.
        prepare_in_trainings: cost of its preparation, in trainings of the model.
        query_in_forwards: cost of a query, in forward passes.
    """
    figures = {**scores.lds, "leave_source_out": scores.leave_source_out}
    intervals = {name: figure._asdict() if (figure := figures.get(name)) else None for name in RANK_SCORES}
    return _row(method, kind, intervals, scores.misallocated_pool, prepare_in_trainings, query_in_forwards)


def pool_row(
    method: str,
    kind: str,
    misallocated_pool: float | None,
    prepare_in_trainings: float,
    query_in_forwards: float | None,
) -> dict[str, Any]:
    """The row of a division of the pool that has no influence per query: `payment` or `baseline`."""
    intervals = dict.fromkeys(RANK_SCORES, None)
    return _row(method, kind, intervals, misallocated_pool, prepare_in_trainings, query_in_forwards)


def _row(
    method: str, kind: str, intervals: Mapping[str, Any], pool: float | None, prepare: float, query: float | None
) -> dict[str, Any]:
    costs = {"prepare_in_trainings": prepare, "query_in_forwards": query}
    return {"method": method, "kind": kind, **intervals, "misallocated_pool": pool, **costs}


def certificate_json(figures: Mapping[str, Any]) -> str:
    """All figures of a certificate as JSON with sorted keys; null for numbers that are not finite."""
    return json.dumps(_finite(figures), sort_keys=True)


def certificate_record(value_run: str, figures: Mapping[str, Any]) -> TrackedRun:
    """The part that an evaluation adds to the MLflow run of its valuation."""
    head, run = figures["headline"], figures["evaluate_run"]
    [paid] = [row for row in figures["rows"] if row["method"] == figures["read_out"]]
    lds = {name: paid[name]["value"] for name in RANK_SCORES if paid[name] is not None}
    return TrackedRun(
        value_run,
        f"{figures['period']} {value_run}",
        run,
        tags={"certificate": run},
        metrics={k: v for k, v in head.items() if v is not None} | lds,
        texts={"certificate.html": render_certificate(figures), "evaluation.json": certificate_json(figures)},
    )


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and value - value != 0 else value
