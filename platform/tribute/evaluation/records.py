"""An evaluation's figures as the lake and MLflow keep them."""

from tribute.evaluation.certificate import render_certificate
from tribute.evaluation.figures import Certificate, MethodFigures, ScoreFigure
from tribute.evaluation.study import LDS, Scores
from tribute.tracking import TrackedRun

RANK_SCORES = (*LDS, "leave_source_out")
MEASURED = (*RANK_SCORES, "misallocated_pool", "prepare_in_trainings", "query_in_forwards")
"""The figures of a method, in the order of the table `evaluations`."""


def method_figures(
    method: str,
    kind: str,
    scores: Scores,
    prepare_in_trainings: float,
    query_in_forwards: float,
    stored_bytes: int | None = None,
) -> MethodFigures:
    """A method's row in the certificate and in the table `evaluations`.

    Args:
        kind: `readout`, `estimator` or `baseline`.
        prepare_in_trainings: cost of its preparation, in trainings of the model.
        query_in_forwards: cost of a query, in forward passes.
        stored_bytes: what is kept for later queries.
    """
    figures = {**scores.lds, "leave_source_out": scores.leave_source_out}
    return MethodFigures(
        method=method,
        kind=kind,
        **{name: ScoreFigure(**figure._asdict()) for name, figure in figures.items() if figure},
        misallocated_pool=scores.misallocated_pool,
        prepare_in_trainings=prepare_in_trainings,
        query_in_forwards=query_in_forwards,
        stored_bytes=stored_bytes,
    )


def certificate_record(value_run: str, certificate: Certificate) -> TrackedRun:
    """The part that an evaluation adds to the MLflow run of its valuation."""
    [paid] = [row for row in certificate.rows if row.method == certificate.read_out]
    lds = {name: figure.value for name in RANK_SCORES if (figure := getattr(paid, name))}
    head = {name: value for name, value in certificate.headline.model_dump().items() if value is not None}
    return TrackedRun(
        value_run,
        f"{certificate.period} {value_run}",
        certificate.evaluate_run,
        tags={"certificate": certificate.evaluate_run},
        metrics=head | lds,
        texts={"certificate.html": render_certificate(certificate), "evaluation.json": certificate.json_text()},
    )
