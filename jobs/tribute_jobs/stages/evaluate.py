"""Stage `evaluate`: compare the project's values, and other methods, with retraining of the user's own model.

Recordings are replayed without sources, and a checkpoint is trained further: see `TrainingSettings.repetition`.
"""

import hashlib
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pyarrow as pa

from tribute.catalog import MeasuredTraining, estimator_runs, measured_trainings, run_id, simulation_runs
from tribute.corpus import QueryTable
from tribute.evaluation import (
    Certificate,
    EvaluationStudy,
    GroundTruth,
    RemovalPlan,
    adopted_warnings,
    brittleness,
    evaluation_warnings,
    judging_seeds,
)
from tribute.evaluation.certificate import render_certificate
from tribute.evaluation.figures import (
    BrittlenessFigures,
    CeilingFigures,
    HeadlineFigures,
    MethodFigures,
    PoolFigures,
    QueryCounts,
    RetrainCounts,
    ScoreFigure,
)
from tribute.evaluation.records import MEASURED, certificate_record
from tribute.royalty.document import repetition_words
from tribute.tracking import track
from tribute_jobs.compute.coverage import method_coverage
from tribute_jobs.compute.retrains import Retrains
from tribute_jobs.context import Context, StageOutput
from tribute_jobs.stages.lost import make_again
from tribute_jobs.stages.main_run import MainRun
from tribute_jobs.stages.methods import MethodRows, OtherEstimators, titled
from tribute_storage import SCHEMAS, open_tables
from tribute_storage.atomic import write_atomically


def evaluate(context: Context, period: str, value_run: str) -> StageOutput:
    """Retrain what the bank lacks, commit `evaluations` and `certificates`, and write the certificate.

    The certificate is added to the MLflow run of the valuation.
    """
    project = context.project
    queries = _queries(context, period)
    settings = [s.fingerprint() for s in (project.readout, project.valuation, project.evaluation)]
    runs = [run.run_id for run in (*simulation_runs(project), *estimator_runs(project))]
    evaluate_run = run_id("evaluate", runs, settings, period, queries.sha256, value_run)
    new = not context.committed("certificates", evaluate_run)
    if new:
        make_again(context)
        context.reporter.started("evaluate", evaluate_run)
        _commit(context, _certificate(context, period, queries, evaluate_run, _learnt_from(context, value_run)))
    certificate = read_certificate(context.lake.root, evaluate_run)
    page = project.workdir / "certificates" / f"{evaluate_run}.html"
    write_atomically(page, render_certificate(certificate).encode())
    problem = track(project, certificate_record(value_run, certificate))
    if problem:
        context.reporter.warned(problem)
    return StageOutput(evaluate_run, new, _summary(certificate, page))


def read_certificate(lake_root: Path | str, evaluate_run: str) -> Certificate:
    """A committed certificate."""
    with open_tables(lake_root, "certificates") as connection:
        [(content,)] = connection.execute(
            "select json from certificates where run_id = $1", [evaluate_run]
        ).fetchall()
    return Certificate.model_validate_json(content)


def _queries(context: Context, period: str) -> QueryTable:
    """At most `evaluation.queries` of the period's queries, evenly spaced."""
    queries = context.inputs.queries(period)
    count, limit = len(queries.query_ids), context.project.evaluation.queries
    return queries.take(np.unique(np.linspace(0, count - 1, min(count, limit)).astype(int)).tolist())


def _learnt_from(context: Context, value_run: str) -> list[MeasuredTraining]:
    """The real trainings that a valuation learnt from."""
    with open_tables(context.lake.root) as connection:
        [(retrain_run,)] = connection.execute(
            "select any_value(retrain_run) from valuations where run_id = $1", [value_run]
        ).fetchall()
        return measured_trainings(connection, retrain_run)


def _certificate(
    context: Context,
    period: str,
    queries: QueryTable,
    evaluate_run: str,
    trainings: Sequence[MeasuredTraining],
) -> Certificate:
    """Fit other estimators, retrain what the bank lacks, and score every method."""
    project, settings = context.project, context.project.evaluation
    retrains, main = Retrains(context), MainRun(context, period, queries)
    others, (seed, *other_seeds) = OtherEstimators(context, main), judging_seeds(project.training, settings)
    influence_QU, tokens_U = main.mean(main.influence_RQU), main.tokens_S @ main.member_SU
    plan = RemovalPlan.draw(influence_QU, tokens_U, settings.subsets, settings.brittle_queries, seed)
    sets = plan.by_seed(seed, other_seeds)
    values = main.values(retrains, trainings)
    retrains.complete({key: [main.unit(chosen) for chosen in each] for key, each in sets.items()})
    truth = _ground_truth(retrains, main, plan, seed, other_seeds)
    counts = _retrain_counts(retrains, plan, seed, other_seeds)
    study = EvaluationStudy(truth, main.uses_Q, main.split_UP, settings.resamples, seed)
    context.reporter.working("scores")
    paid = study.score_values(values, main.tokens_S, main.member_SU, main.payee_ids)
    methods = MethodRows(main, others, study, values.value_S @ main.member_SU, len(trainings))
    rows = [*_paid_rows(main, paid.pool, sum(each.cost for each in trainings)), *methods.rows()]
    warnings = evaluation_warnings(paid.pool, values.token_weight, len(counts.seeds), counts.repetition)
    warnings += adopted_warnings(counts, whole=project.simulation.whole)
    return Certificate(
        evaluate_run=evaluate_run,
        project=project.name,
        period=period,
        simulate_run=context.runs.simulate_run,
        train_run=context.runs.train_run,
        corpus_run=context.runs.corpus_run,
        parameters=int(retrains.full.final(seed).numel()),
        sources=len(context.source_ids()),
        payees=len(main.payee_ids),
        smoothness=_smoothness(context),
        software={name: version(name) for name in ("tribute", "torch", "numpy", "ray")},
        read_out=titled(main.method, main.replicates),
        queries=_query_counts(context, main),
        headline=HeadlineFigures(**dict(paid.pool), coverage_95=paid.coverage_95),
        intervals=tuple(paid.intervals),
        warnings=(*warnings, *methods.warnings, *others.warnings),
        coverage=method_coverage(context, [run for run, _ in (*main.all_runs, *others.runs)]),
        rows=tuple(rows),
        ceiling=CeilingFigures(**truth.ceiling(), misallocated_pool=paid.pool.ceiling),
        retrains=counts,
        tail_patch=main.tail_patch(),
        brittleness=tuple(_brittleness(retrains, main, plan, seed)),
        effects=() if project.simulation.estimated else tuple(study.effects(influence_QU)),
    )


def _retrain_counts(retrains: Retrains, plan: RemovalPlan, seed: int, other_seeds: list[int]) -> RetrainCounts:
    """The retrains behind a certificate, and how they were trained without sources."""
    steps, kind = retrains.context.project.simulation.steps, retrains.repetition
    judges = [seed, *other_seeds] if kind == "replayed" else other_seeds
    return RetrainCounts(
        seeds=tuple(judges),
        **plan.counts(len(other_seeds)),
        banked=retrains.banked,
        new=retrains.new,
        repetition=kind,
        steps=steps if kind == "continued" else None,
        drift=retrains.full.drift(judges),
    )


def _smoothness(context: Context) -> float | None:
    """Mean smoothness of the simulations; None where it was not measured."""
    with open_tables(context.lake.root, "simulations") as connection:
        [(smoothness,)] = connection.execute(
            "select avg(smoothness) from simulations where run_id = $1", [context.runs.simulate_run]
        ).fetchall()
    return None if smoothness is None else float(smoothness)


def _query_counts(context: Context, main: MainRun) -> QueryCounts:
    return QueryCounts(
        tuning=len(main.tuning.query_ids),
        figures=len(main.queries.query_ids),
        unlike_corpus=int(context.ood_detector().assess(main.queries).is_ood_Q.sum()),
    )


def _paid_rows(main: MainRun, pool: PoolFigures, trained: float) -> list[MethodFigures]:
    """The values that the project pays by, with the trainings that they learnt from, and equal shares."""
    return [
        MethodFigures(
            method="tribute, as paid",
            kind="payment",
            misallocated_pool=pool.misallocated_pool,
            prepare_in_trainings=trained + sum(main.prepared_by(*each) for each in main.all_runs),
            query_in_forwards=None,
        ),
        MethodFigures(
            method="equal",
            kind="baseline",
            misallocated_pool=pool.equal,
            prepare_in_trainings=0.0,
            query_in_forwards=0.0,
        ),
    ]


def _ground_truth(
    retrains: Retrains, main: MainRun, plan: RemovalPlan, seed: int, other_seeds: list[int]
) -> GroundTruth:
    """The losses of the scored queries without every unit and every random set.

    Where recordings are replayed, those of the estimates' own seed are a part of the leave-one-out losses.
    """

    def lost(of_seed: int, sets: list[tuple[int, ...]]) -> np.ndarray:
        return retrains.lost(of_seed, [main.unit(chosen) for chosen in sets], main.queries)

    own = retrains.repetition == "replayed"
    seeds = dict(zip(("same", "other"), [seed, *other_seeds], strict=False))
    random = {(name, key): lost(of, sets) for name, sets in plan.random.items() for key, of in seeds.items()}
    singles = [lost(each, plan.singles) for each in ([seed, *other_seeds] if own else other_seeds)]
    return GroundTruth.from_retrains(singles, plan.random, random, own=own)


def _brittleness(retrains: Retrains, main: MainRun, plan: RemovalPlan, seed: int) -> list[BrittlenessFigures]:
    """Mean loss of some queries without their top units, and without the largest units, by number of units."""
    if not plan.queries:
        return []
    queries, rows = main.queries.take(plan.queries), []
    for count, largest in plan.largest.items():
        sets = [*(by_count[count] for by_count in plan.top), largest]
        rows.append(brittleness(count, retrains.lost(seed, [main.unit(chosen) for chosen in sets], queries)))
    return rows


def _commit(context: Context, certificate: Certificate) -> None:
    run, head = certificate.evaluate_run, certificate.headline
    common = {"run_id": run, "simulate_run": certificate.simulate_run, "period": certificate.period}
    lines = [
        common | {"method": row.method, "kind": row.kind, "metric": metric} | _measured(figure)
        for row in certificate.rows
        for metric in MEASURED
        if (figure := getattr(row, metric)) is not None
    ]
    context.lake.append("evaluations", run, pa.Table.from_pylist(lines, SCHEMAS["evaluations"]))
    page = render_certificate(certificate).encode()
    line = common | {
        "misallocated_pool": head.misallocated_pool,
        "ceiling": head.ceiling,
        "token_count": head.token_count,
        "seeds": len(certificate.retrains.seeds),
        "coverage_95": head.coverage_95,
        "json": certificate.json_text(),
        "sha256": hashlib.sha256(page).hexdigest(),
    }
    context.lake.append("certificates", run, pa.Table.from_pylist([line], SCHEMAS["certificates"]))


def _measured(figure: float | ScoreFigure) -> dict[str, float | None]:
    """A figure as the table `evaluations` has it: the value, and its interval if there is one."""
    if isinstance(figure, ScoreFigure):
        return {"value": figure.value, "ci_low": figure.low, "ci_high": figure.high}
    return {"value": figure, "ci_low": None, "ci_high": None}


def _summary(certificate: Certificate, page: Path) -> str:
    head, retrains = certificate.headline, certificate.retrains
    judges = "one recording for another" if retrains.repetition == "replayed" else "retraining against retraining"
    trainings = repetition_words(retrains.repetition).trainings
    ceiling = "" if head.ceiling is None else f", {judges} {head.ceiling:.1%}"
    return (
        f"misallocated pool {head.misallocated_pool:.1%} (token count {head.token_count:.1%}{ceiling}); "
        f"{retrains.new} {trainings}, {retrains.banked} from the bank; {page}"
    )
