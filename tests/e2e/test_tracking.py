"""The MLflow record of a finished run."""

import mlflow

from tribute.config import Project
from tribute.tracking import tracking_uri


def test_a_valuation_is_one_run_with_inputs_metrics_tables_and_report(finished: Project) -> None:
    mlflow.set_tracking_uri(tracking_uri(finished))
    found = mlflow.search_runs(
        search_all_experiments=True,
        filter_string="tags.`tribute.period` = '2026-10'",
        output_format="list",
    )
    [run] = found
    assert {each.dataset.name for each in run.inputs.dataset_inputs} == {"corpus_sources", "queries"}
    assert run.data.params["simulation.horizon"] == "0.3"
    assert run.data.params["notion"] == "leave_one_out"
    assert run.data.metrics["queries"] == 12
    assert run.data.tags["tribute.pool"] == "1,000.01 EUR"
    names = {artifact.path for artifact in mlflow.artifacts.list_artifacts(run_id=run.info.run_id)}
    assert names == {"valuations.parquet", "report.json", "report.html", "period.csv"}
