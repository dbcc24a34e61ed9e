"""Inputs of a version of statements: runs in the lake's tables, and files of the project.

An input is all rows of a table that some runs committed. A run commits to a table once, so later runs change no
input, and its digest can be computed again at any time.
"""

from collections.abc import Iterator

import duckdb

from tribute.config import Project
from tribute.errors import ProofError
from tribute.royalty.document import BundleFile, BundleInput, Statement
from tribute_jobs.period.digests import table_digest
from tribute_storage import open_tables

Rests = Iterator[tuple[str, list[str]]]

_VALUED = """
select attribute_runs, rights_run, estimates_run, retrain_run from valuations where run_id = $value limit 1
"""
_CORPUS = "select distinct corpus_run from trajectories where run_id = $train order by 1"
_SIMULATED = """
select $simulate union select simulate_run from estimates where run_id = $estimates order by 1
"""
_MEASURED = "select distinct run_id from measurements where retrain_run = $retrain order by 1"
_REGISTERED = """
select p.run_id from policies p join runs r on r.run_id = p.run_id and r.table_name = 'policies'
where p.period = $period and r.committed_at <= (select min(s.committed_at) from runs s
    where s.table_name = 'statements' and s.run_id = $settle)
order by 1
"""
_REPORTED = """
select distinct arg_min(e.run_id, (r.committed_at, e.run_id)) from queries q
join usage_events e on e.query_id = q.query_id and e.content_sha256 = q.content_sha256 and e.time = q.time
    and e.customer_id is not distinct from q.customer_id
join runs r on r.run_id = e.run_id and r.table_name = 'usage_events'
where list_contains($attribute::varchar[], q.run_id) group by q.run_id, q.query_id order by 1
"""
"""The batch of events that first brought each query in."""


def lake_inputs(project: Project, statement: Statement) -> list[BundleInput]:
    """Table, runs, number of rows and digest of every input of a version, given one of its statements.

    Raises:
        ProofError: the valuation does not record its inputs.
    """
    with open_tables(project.lake_root) as connection:
        return [
            BundleInput(table=table, run_ids=tuple(run_ids), **table_digest(connection, table, run_ids)._asdict())
            for table, run_ids in _rests(connection, statement)
        ]


def file_inputs(project: Project, statement: Statement) -> list[BundleFile]:
    """Setting, name and SHA-256 of every file of the project that a version rests on; from `settled_files`."""
    with open_tables(project.lake_root, "settled_files", "statements") as connection:
        rows = connection.execute(
            "select setting, name, artifact_sha256 from settled_files where run_id = $1 order by 1",
            [_settle_run(connection, statement)],
        ).fetchall()
    return [BundleFile(setting=setting, name=name, sha256=sha256) for setting, name, sha256 in rows]


def _rests(connection: duckdb.DuckDBPyConnection, statement: Statement) -> Rests:
    value, simulate, train = statement.value_run, statement.simulate_run, statement.train_run
    attribute, rights, estimates, retrain = connection.execute(_VALUED, {"value": value}).fetchall()[0]
    if attribute is None:
        raise ProofError(
            f"Valuation {value} does not list its inputs: an earlier version of tribute made it. Start a "
            "fresh working folder"
        )
    corpus = _ids(connection, _CORPUS, train=train)
    for table in ("corpus_sources", "corpus_documents", "corpus_duplicates"):
        yield table, corpus
    for table in ("trajectories", "learning"):
        yield table, [train]
    yield "simulations", _ids(connection, _SIMULATED, simulate=simulate, estimates=estimates)
    if reported := _ids(connection, _REPORTED, attribute=attribute):
        yield "usage_events", reported
    for table in ("queries", "influence", "predicted"):
        yield table, attribute
    if estimates is not None:
        yield "estimates", [estimates]
    if retrain is not None:
        yield "measurements", _ids(connection, _MEASURED, retrain=retrain)
        yield "precisions", [retrain]
    for table in ("rights", "publishers"):
        yield table, [rights]
    yield "valuations", [value]
    settled = _settle_run(connection, statement)
    yield "policies", _ids(connection, _REGISTERED, period=statement.period, settle=settled)
    if statement.quality_certificate is not None:
        yield "certificates", [statement.quality_certificate.certificate_id]


def _settle_run(connection: duckdb.DuckDBPyConnection, statement: Statement) -> str:
    """The run that committed a statement."""
    [run_id] = _ids(
        connection, "select run_id from statements where statement_id = $id", id=statement.statement_id
    )
    return run_id


def _ids(connection: duckdb.DuckDBPyConnection, query: str, **chosen: object) -> list[str]:
    return [run_id for (run_id,) in connection.execute(query, chosen).fetchall()]
