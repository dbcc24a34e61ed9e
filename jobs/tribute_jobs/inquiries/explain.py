"""`tribute explain`: the way back from an amount to the queries, the simulation and the training behind it."""

import json
import math
from dataclasses import asdict
from fractions import Fraction
from typing import Any

import duckdb

from tribute.catalog import source_contributions, valued_runs
from tribute.config import Project
from tribute.royalty.document import ExactModel, Statement, StatementLine
from tribute.royalty.exact import Money
from tribute_jobs.inquiries.explain_text import explanation_text
from tribute_jobs.inquiries.lookup import Issued, find_issued
from tribute_jobs.period.statements import change_before
from tribute_storage import open_tables

Row = dict[str, Any]
MOST = 10
VALUED = (
    "run_id, source_id, split, queries, tokens, token_share, attribution_nats, value_nats, ci_low_nats, "
    "ci_high_nats, notion, shrinkage, calibration"
)
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
select run_id, source_id, title, version, license, documents, tokens, eligible_tokens, sha256 from corpus_sources
where run_id = (select any_value(corpus_run) from trajectories where run_id = $train) and source_id = $source
"""
_LEARNT = """
select replicate, examples, loss_before_nats, loss_after_nats from learning
where run_id = $train and source_id = $source order by replicate
"""


def explain(project: Project, line_id: str, customers: bool = False) -> Row:
    """Everything behind a line's amount, JSON-ready.

    Args:
        customers: whether to include customer ids.

    Raises:
        MoneyError: no line has this id; names near ones.
        ValuationError: the line's valuation does not record which queries it summed.
    """
    issued = find_issued(project, line_id, statements=False)
    line, statement = issued.line, issued.statement
    assert line is not None  # find_issued raises
    chosen = {"simulate": statement.simulate_run, "train": statement.train_run, "source": line.source_id}
    with open_tables(project.lake_root) as connection:
        valued = _valued(connection, statement, line.source_id)
        asked = valued if line.source_id else None
        queries = _queries(connection, statement, asked, customers) if asked else None
        simulated = _rows(connection, _SIMULATED, chosen, "simulate", "source") if line.source_id else []
        trained = _rows(connection, _TRAINED, chosen, "train")
        sources = _rows(connection, _SOURCE, chosen, "train", "source")
        learnt = _rows(connection, _LEARNT, chosen, "train", "source")
    return {
        "line": _plain(line),
        "statement": _statement(issued),
        "division": division(statement, line),
        "valuation": valued,
        "queries": queries,
        "simulations": simulated,
        "training": trained,
        "learning": learnt,
        "corpus": sources,
        "change": _change(project, statement),
    }


def _change(project: Project, statement: Statement) -> Row | None:
    """Why the publisher's amount is another one than in the version, or the month, before; None: there is none."""
    found = change_before(project, statement)
    if found is None:
        return None
    own = next(each for each in found.publishers if (each.publisher_id, each.currency) == statement.key)
    return {"since": found.before} | asdict(own) | {"change_minor": own.change_minor, "notes": list(found.notes)}


def division(statement: Statement, line: StatementLine) -> Row:
    """How the pool became the line's amount, in two divisions by largest remainder; exact fractions as text."""
    pool = next(each for each in statement.pools if each.pool_id == line.pool_id)
    publisher_minor = sum(each.amount_minor for each in statement.lines if each.pool_id == line.pool_id)
    share, part = Fraction(statement.share), Fraction(line.share)
    of_publisher = part / share if share else Fraction(0)
    return {
        "pool": _plain(pool),
        "currency": statement.currency,
        "publisher_share": str(share),
        "publisher_exact_minor": str(pool.pool_amount_minor * share),
        "publisher_minor": publisher_minor,
        "line_part": str(of_publisher),
        "line_exact_minor": str(publisher_minor * of_publisher),
        "line_minor": line.amount_minor,
        "amount": Money(line.amount_minor, statement.currency).text(),
    }


def print_explanation(project: Project, line_id: str, customers: bool, as_json: bool) -> None:
    """The way back from an amount, for people or as JSON."""
    found = explain(project, line_id, customers)
    print(json.dumps(found, indent=2, ensure_ascii=False) if as_json else explanation_text(found))


def _statement(issued: Issued) -> Row:
    head = {k: each for k, each in _plain(issued.statement).items() if k not in ("lines", "balance", "proof")}
    return head | {"settle_run": issued.run_id, "settled": issued.committed}


def _plain(part: ExactModel) -> Row:
    """A part of a document, JSON-ready, with sorted keys."""
    plain: Row = json.loads(part.canonical())
    return plain


def _valued(connection: duckdb.DuckDBPyConnection, statement: Statement, source_id: str | None) -> Row | None:
    """The valuation's row of the line, of the publisher as a whole for what is unattributed."""
    chosen = {"run": statement.value_run, "publisher": statement.publisher_id, "source": source_id}
    found = _rows(
        connection,
        f"select {VALUED} from valuations where run_id = $run "
        "and publisher_id = $publisher and source_id is not distinct from $source",
        chosen,
        *chosen,
    )
    return found[0] | {"calibration": json.loads(found[0]["calibration"])} if found else None


def _queries(connection: duckdb.DuckDBPyConnection, statement: Statement, valued: Row, customers: bool) -> Row:
    """The largest contributions of queries, times the publisher's part of the source, and the sum of the others.

    Corrections: what predictions add where only a sample was read out, and stand-ins for failed simulations.
    """
    limit, total = statement.policy.customer_cap, valued["attribution_nats"]
    split = float(Fraction(valued["split"]))
    cap, found = None if limit is None else Fraction(limit), []
    for each in source_contributions(connection, valued["run_id"], valued["source_id"], cap):
        row = asdict(each) | {"nats": split * each.nats}
        found.append(row if customers else {name: value for name, value in row.items() if name != "customer_id"})
    listed, others = (math.fsum(each["nats"] for each in some) for some in (found[:MOST], found[MOST:]))
    sums = {"others_nats": others, "corrections_nats": total - listed - others, "total_nats": total}
    return {
        "attribute_runs": valued_runs(connection, valued["run_id"]),
        "customer_cap": limit,
        "asked": len(found),
        "most": found[:MOST],
        **sums,
    }


def _rows(connection: duckdb.DuckDBPyConnection, query: str, values: Row, *names: str) -> list[Row]:
    table = connection.sql(query, params={name: values[name] for name in names}).to_arrow_table()
    rows: list[Row] = table.to_pylist()
    return rows
