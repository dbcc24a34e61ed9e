"""Where the project file, run ids and SQL meet the science: finds what runs made, in the lake and on disk.

Names are imported on first use: a command that prints a report loads neither torch nor MLflow.
"""

from typing import TYPE_CHECKING

from tribute_storage.first_use import first_use

if TYPE_CHECKING:
    from tribute.catalog.artifacts import RecordedArtifact, recorded_artifacts
    from tribute.catalog.changes import value_change
    from tribute.catalog.comparisons import compared_estimators, estimator_run, estimator_runs
    from tribute.catalog.contributions import customer_values, source_contributions
    from tribute.catalog.estimates import (
        MeasuredTraining,
        corpus_learnt_tokens,
        diverged_trainings,
        estimates_run,
        known_trainings,
        measured_on,
        measured_trainings,
        read_estimates,
        training_seeds,
        trainings_of_units,
    )
    from tribute.catalog.ingestion import ingested_queries, usage_events
    from tribute.catalog.live import RecordedUses, RecordedWith, record_uses, recorded_use
    from tribute.catalog.period import payees, period_splits, read_book, value_period
    from tribute.catalog.queries import (
        attribution,
        months_with_queries,
        period_queries,
        pilot_queries,
        query_rows,
        used_before,
    )
    from tribute.catalog.record import valuation_record
    from tribute.catalog.report import Valuation, read_valuation, valuation_report
    from tribute.catalog.responses import (
        corpus_tokens,
        recorded_replicates,
        recorded_trainings,
        simulated_responses,
    )
    from tribute.catalog.runs import (
        Identity,
        Lineage,
        SimulationRun,
        further_estimates,
        lineage,
        retrain_bank,
        retrain_run,
        run_id,
        simulation_runs,
    )
    from tribute.catalog.uses import customer_cap, customer_uses, valued_runs

__all__ = [
    "Identity",
    "Lineage",
    "MeasuredTraining",
    "RecordedArtifact",
    "RecordedUses",
    "RecordedWith",
    "SimulationRun",
    "Valuation",
    "attribution",
    "compared_estimators",
    "corpus_learnt_tokens",
    "corpus_tokens",
    "customer_cap",
    "customer_uses",
    "customer_values",
    "diverged_trainings",
    "estimates_run",
    "estimator_run",
    "estimator_runs",
    "further_estimates",
    "ingested_queries",
    "known_trainings",
    "lineage",
    "measured_on",
    "measured_trainings",
    "months_with_queries",
    "payees",
    "period_queries",
    "period_splits",
    "pilot_queries",
    "query_rows",
    "read_book",
    "read_estimates",
    "read_valuation",
    "record_uses",
    "recorded_artifacts",
    "recorded_replicates",
    "recorded_trainings",
    "recorded_use",
    "retrain_bank",
    "retrain_run",
    "run_id",
    "simulated_responses",
    "simulation_runs",
    "source_contributions",
    "training_seeds",
    "trainings_of_units",
    "usage_events",
    "used_before",
    "valuation_record",
    "valuation_report",
    "value_change",
    "value_period",
    "valued_runs",
]

__getattr__ = first_use(
    __name__,
    {
        "artifacts": ["RecordedArtifact", "recorded_artifacts"],
        "changes": ["value_change"],
        "comparisons": ["compared_estimators", "estimator_run", "estimator_runs"],
        "contributions": ["customer_values", "source_contributions"],
        "estimates": [
            *("MeasuredTraining", "corpus_learnt_tokens", "diverged_trainings", "estimates_run"),
            *("known_trainings", "measured_on", "measured_trainings", "read_estimates"),
            *("training_seeds", "trainings_of_units"),
        ],
        "ingestion": ["ingested_queries", "usage_events"],
        "period": ["payees", "period_splits", "read_book", "value_period"],
        "queries": [
            *(
                "attribution",
                "months_with_queries",
                "period_queries",
                "pilot_queries",
                "query_rows",
                "used_before",
            ),
        ],
        "record": ["valuation_record"],
        "live": ["RecordedUses", "RecordedWith", "record_uses", "recorded_use"],
        "report": ["Valuation", "read_valuation", "valuation_report"],
        "responses": [
            "corpus_tokens",
            "recorded_replicates",
            "recorded_trainings",
            "simulated_responses",
        ],
        "runs": [
            "Identity",
            "Lineage",
            "SimulationRun",
            "further_estimates",
            "lineage",
            "retrain_bank",
            "retrain_run",
            "run_id",
            "simulation_runs",
        ],
        "uses": ["customer_cap", "customer_uses", "valued_runs"],
    },
)
