"""`tribute explain`: the way back from an amount to the queries, the simulation and the training behind it."""

import json
import math
from fractions import Fraction
from typing import Any

import duckdb

from tribute.config import Project
from tribute.royalty import Money
from tribute_jobs.money.explaining_text import explanation_text
from tribute_jobs.money.lookup import Issued, find_issued
from tribute_storage import connect

Row = dict[str, Any]
MOST = 10
VALUED = (
    "run_id, queries, tokens, token_share, attribution_nats, value_nats, ci_low_nats, ci_high_nats, notion, "
    "shrinkage, calibration, split"
)
_RUNS = """
with asked as (
    select run_id, query_id, origin, weight / inclusion_probability / readout_probability as uses
    from queries where simulate_run = $simulate and period = $period
), sums as (
    select a.run_id, any_value(a.origin) as origin,
        sum(uses * influence_nats) / count(distinct i.replicate) as nats
    from influence i join asked a using (run_id, query_id) where i.source_id = $source group by a.run_id
), rest as (
    select run_id, sum(predicted_nats - expanded_nats) / count(distinct replicate) as nats
    from predicted where source_id = $source group by run_id
)
select s.run_id, s.origin, s.nats + coalesce(rest.nats, 0) from sums s left join rest using (run_id)
join runs r on r.run_id = s.run_id and r.table_name = 'queries' order by r.committed_at desc, s.run_id
"""
_QUERIES = """
with asked as (
    select q.run_id, q.query_id, any_value(q.time) as time, any_value(q.customer_id) as customer_id,
        any_value(q.weight / q.inclusion_probability / q.readout_probability) as uses,
        avg(i.influence_nats::double) as influence_nats, any_value(q.unlike_corpus) as unlike_corpus
    from queries q join influence i using (run_id, query_id)
    where list_contains($runs, q.run_id) and q.simulate_run = $simulate and q.period = $period
        and i.source_id = $source
    group by q.run_id, q.query_id
)
select query_id, strftime(time, '%Y-%m-%d') as day, customer_id, uses, influence_nats, unlike_corpus
from asked order by abs(uses * influence_nats) desc, query_id, run_id
"""
_SIMULATED = """
select unit_id, len(removed) as sources_removed, replicate, seed, mode, base, notion, scope, horizon,
    horizon_steps, response_norm, smoothness, failed_step, artifact_uri, artifact_sha256
from simulations where run_id = $simulate and list_contains(removed, $source) order by unit_id, replicate
"""
_TRAINED = """
select run_id, corpus_run, corpus_sha256, replicate, seed, steps, parameters, final_loss_nats, artifact_uri,
    artifact_sha256
from trajectories where run_id = $train order by replicate
"""
_SOURCE = """
select run_id, source_id, title, version, license, documents, tokens, sha256 from corpus_sources
where run_id = (select any_value(corpus_run) from trajectories where run_id = $train) and source_id = $source
"""


def explain(project: Project, line_id: str, customers: bool = False) -> Row:
    """All that stands behind a line, JSON-ready.

    Args:
        customers: whether to say who asked.

    Raises:
        MoneyError: no line has this id; names near ones.
    """
    issued = find_issued(project, line_id, statements=False)
    line, statement = issued.line or {}, issued.statement
    chosen = {name: statement[f"{name}_run"] for name in ("simulate", "train")}
    chosen |= {"period": statement["period"], "source": line["source_id"]}
    with connect(project.lake_root) as connection:
        valued = _valued(connection, statement, line["source_id"])
        queries = _queries(connection, chosen, valued, customers) if line["source_id"] else None
        simulated = _rows(connection, _SIMULATED, chosen, "simulate", "source") if line["source_id"] else []
        trained = _rows(connection, _TRAINED, chosen, "train")
        sources = _rows(connection, _SOURCE, chosen, "train", "source")
    return {
        "line": line,
        "statement": _statement(issued),
        "division": division(statement, line),
        "valuation": valued,
        "queries": queries,
        "simulations": simulated,
        "training": trained,
        "corpus": sources,
    }


def division(statement: Row, line: Row) -> Row:
    """How the pool became the line's amount, in two divisions by largest remainder; exact fractions as text."""
    pool = next(each for each in statement["pools"] if each["pool_id"] == line["pool_id"])
    own = [each for each in statement["lines"] if each["pool_id"] == line["pool_id"]]
    publisher_minor = sum(each["amount_minor"] for each in own)
    share, part = Fraction(statement["share"]), Fraction(line["share"])
    of_publisher = part / share if share else Fraction(0)
    return {
        "pool": pool,
        "currency": statement["currency"],
        "publisher_share": str(share),
        "publisher_exact_minor": str(pool["pool_amount_minor"] * share),
        "publisher_minor": publisher_minor,
        "line_part": str(of_publisher),
        "line_exact_minor": str(publisher_minor * of_publisher),
        "line_minor": line["amount_minor"],
        "amount": Money(line["amount_minor"], statement["currency"]).text(),
    }


def print_explanation(project: Project, line_id: str, customers: bool, as_json: bool) -> None:
    """The way back from an amount, for people or as JSON."""
    found = explain(project, line_id, customers)
    print(json.dumps(found, indent=2, ensure_ascii=False) if as_json else explanation_text(found))


def _statement(issued: Issued) -> Row:
    told = {name: each for name, each in issued.statement.items() if name not in ("lines", "balance", "proof")}
    return told | {"settle_run": issued.run_id, "settled": issued.committed}


def _valued(connection: duckdb.DuckDBPyConnection, statement: Row, source_id: str | None) -> Row | None:
    """The valuation's row of the line, of the publisher as a whole for what is unattributed."""
    chosen = {"run": statement["value_run"], "publisher": statement["publisher_id"], "source": source_id}
    found = _rows(
        connection,
        f"select {VALUED} from valuations where run_id = $run "
        "and publisher_id = $publisher and source_id is not distinct from $source",
        chosen,
        *chosen,
    )
    return found[0] | {"calibration": json.loads(found[0]["calibration"])} if found else None


def _queries(connection: duckdb.DuckDBPyConnection, chosen: Row, valued: Row | None, customers: bool) -> Row:
    """The queries that count most, times the publisher's part of the source, and what all others come to.

    Corrections: what predictions add where only a sample was read out, and stand-ins for failed simulations.
    """
    split = float(Fraction(valued["split"])) if valued else 1.0
    total = valued["attribution_nats"] if valued else 0.0
    runs = _attributions(connection, chosen, total / split)
    found = _rows(connection, _QUERIES, chosen | {"runs": runs}, "runs", "simulate", "period", "source")
    for each in found:
        each["nats"] = split * each["uses"] * each["influence_nats"]
        if not customers:
            del each["customer_id"]
    most = found[:MOST]
    told, others = (math.fsum(each["nats"] for each in some) for some in (most, found[MOST:]))
    sums = {"others_nats": others, "corrections_nats": total - told - others, "total_nats": total}
    return {"attribute_runs": runs, "asked": len(found), "most": most, **sums}


def _attributions(connection: duckdb.DuckDBPyConnection, chosen: Row, total: float) -> list[str]:
    """The runs that were valued: what the service recorded, and the batch with which the sum is the valuation's.

    A later batch of a month replaces an earlier one, and both stay in the lake.
    """
    named = {name: chosen[name] for name in ("simulate", "period", "source")}
    rows = connection.execute(_RUNS, named).fetchall()
    service = [(run, nats) for run, origin, nats in rows if origin == "service"]
    batches = [(run, nats) for run, origin, nats in rows if origin != "service"]
    told = math.fsum(nats for _, nats in service)
    batch = min(batches, key=lambda each: round(abs(each[1] + told - total), 6), default=None)
    return sorted([run for run, _ in service] + ([batch[0]] if batch else []))


def _rows(connection: duckdb.DuckDBPyConnection, query: str, values: Row, *names: str) -> list[Row]:
    table = connection.sql(query, params={name: values[name] for name in names}).to_arrow_table()
    rows: list[Row] = table.to_pylist()
    return rows
