"""Where the project file, run ids and SQL meet the science: finds what runs made, in the lake and on disk."""

from tribute.catalog.contributions import contributions
from tribute.catalog.customers import customer_values
from tribute.catalog.ingestion import ingested_queries, usage_events
from tribute.catalog.period import Valuation, payees, period_splits, read_book, read_valuation, value_period
from tribute.catalog.queries import attribution_run, period_queries, query_rows
from tribute.catalog.report import valuation_record, valuation_report
from tribute.catalog.responses import corpus_tokens, recorded_replicates, simulated_responses
from tribute.catalog.runs import (
    Lineage,
    SimulationRun,
    estimator_run,
    lineage,
    retrain_bank,
    run_id,
    simulation_runs,
    whole_retraining,
)
from tribute.catalog.uses import customer_cap, customer_uses, valued_runs

__all__ = [
    "Lineage",
    "SimulationRun",
    "Valuation",
    "attribution_run",
    "contributions",
    "corpus_tokens",
    "customer_cap",
    "customer_uses",
    "customer_values",
    "estimator_run",
    "ingested_queries",
    "lineage",
    "payees",
    "period_queries",
    "period_splits",
    "query_rows",
    "read_book",
    "read_valuation",
    "recorded_replicates",
    "retrain_bank",
    "run_id",
    "simulated_responses",
    "simulation_runs",
    "usage_events",
    "valuation_record",
    "valuation_report",
    "value_period",
    "valued_runs",
    "whole_retraining",
]
