"""An evaluation as the lake, MLflow and statements keep it."""

import json
from collections.abc import Mapping
from typing import Any

from tribute.evaluation.certificate import render_certificate
from tribute.tracking import TrackedRun
from tribute_storage import connect

MEASURED = (
    "lds_half_other_seed",
    "lds_half_same_seed",
    "lds_tenth_other_seed",
    "lds_tenth_same_seed",
    "leave_source_out",
    "misallocated_pool",
    "prepare_in_trainings",
    "query_in_forwards",
)


def certificate_json(figures: Mapping[str, Any]) -> str:
    """All figures of a certificate, the same text every time; what is not finite is null."""
    return json.dumps(_finite(figures), sort_keys=True)


def read_certificate(lake_root: str, evaluate_run: str) -> dict[str, Any]:
    """The figures of a committed certificate."""
    with connect(lake_root) as connection:
        [(content,)] = connection.execute(
            "select json from certificates where run_id = $1", [evaluate_run]
        ).fetchall()
    found: dict[str, Any] = json.loads(content)
    return found


def certificate_record(value_run: str, figures: Mapping[str, Any]) -> TrackedRun:
    """What an evaluation adds to the MLflow run of its valuation."""
    head, run = figures["headline"], figures["evaluate_run"]
    [paid] = [row for row in figures["rows"] if row["method"] == figures["read_out"]]
    lds = {name: paid[name]["value"] for name in MEASURED[:5] if paid[name] is not None}
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
