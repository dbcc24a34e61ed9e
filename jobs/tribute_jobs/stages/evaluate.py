"""Stage `evaluate`: how far the values can be trusted, judged by real retraining on the user's own model."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tribute.catalog import period_queries, run_id, simulation_runs
from tribute.corpus import QueryTable
from tribute.errors import ConfigError
from tribute.evaluation import MEASURED, certificate_json, certificate_record, read_certificate, render_certificate
from tribute.tracking import track
from tribute_jobs.context import Context
from tribute_jobs.stages.evaluation import Evaluation, check_retrains, estimator_runs
from tribute_jobs.stages.stage import StageOutput
from tribute_storage import SCHEMAS
from tribute_storage.atomic import write_atomically

FEWEST_QUERIES = 20


def evaluate(context: Context, period: str, value_run: str) -> StageOutput:
    """Retrain what the bank lacks, judge, commit `evaluations` and `certificates`, and write the certificate.

    The certificate is added to the MLflow run of the valuation.

    Raises:
        ConfigError: the training cannot be repeated, there are too few queries, or too many sources to leave out.
    """
    project = context.project
    queries = _queries(context, period)
    settings = [s.fingerprint() for s in (project.readout, project.valuation, project.evaluation)]
    runs = [run.run_id for run in simulation_runs(project)]
    runs += [run.run_id for run in estimator_runs(project)]
    evaluate_run = run_id("evaluate", runs, settings, period, queries.sha256, value_run)
    new = not context.committed("certificates", evaluate_run)
    if new:
        check_retrains(context)
        context.reporter.started("evaluate", evaluate_run)
        _commit(context, {"evaluate_run": evaluate_run} | Evaluation(context, period, queries).figures())
    figures = read_certificate(context.lake.root, evaluate_run)
    page = project.workdir / "certificates" / f"{evaluate_run}.html"
    write_atomically(page, render_certificate(figures).encode())
    problem = track(project, certificate_record(value_run, figures))
    if problem:
        context.reporter.warned(problem)
    return StageOutput(evaluate_run, new, _summary(figures, page))


def _queries(context: Context, period: str) -> QueryTable:
    """At most `evaluation.queries` of the period's queries, evenly spaced."""
    queries = period_queries(context.project, period)
    count, most = len(queries.query_ids), context.project.evaluation.queries
    if count < FEWEST_QUERIES:
        raise ConfigError(
            f"Period {period} has {count} queries; evaluation needs {FEWEST_QUERIES}, one half to tune and one to "
            "judge. Choose another period, or raise queries.per_source"
        )
    return queries.take(np.unique(np.linspace(0, count - 1, min(count, most)).astype(int)).tolist())


def _commit(context: Context, figures: dict[str, Any]) -> None:
    run, head = figures["evaluate_run"], figures["headline"]
    common = {"run_id": run, "simulate_run": figures["simulate_run"], "period": figures["period"]}
    lines = []
    for method in figures["rows"]:
        for metric in MEASURED:
            figure = method[metric]
            if figure is not None:
                found = figure if isinstance(figure, dict) else {"value": figure}
                lines.append(
                    common
                    | {name: method[name] for name in ("method", "kind")}
                    | {"metric": metric, "value": found["value"]}
                    | {"ci_low": found.get("low"), "ci_high": found.get("high")}
                )
    context.lake.append("evaluations", run, pa.Table.from_pylist(lines, SCHEMAS["evaluations"]))
    page = render_certificate(figures).encode()
    certificate = common | {name: head[name] for name in ("misallocated_pool", "ceiling", "token_count")}
    certificate |= {"seeds": len(figures["retrains"]["seeds"])}
    certificate |= {"coverage_95": head["coverage_95"], "json": certificate_json(figures)}
    certificate |= {"sha256": hashlib.sha256(page).hexdigest()}
    context.lake.append("certificates", run, pa.Table.from_pylist([certificate], SCHEMAS["certificates"]))


def _summary(figures: dict[str, Any], page: Path) -> str:
    head = figures["headline"]
    ceiling = "" if head["ceiling"] is None else f", retraining against retraining {head['ceiling']:.1%}"
    return (
        f"misallocated pool {head['misallocated_pool']:.1%} (token count {head['token_count']:.1%}{ceiling}); "
        f"{figures['retrains']['new']} retrains, {figures['retrains']['banked']} from the bank; {page}"
    )
