"""Views and table macros over the lake, for queries that analysts need often.

No parameter has the name of a column: inside a macro a name means the parameter first.
"""

from collections.abc import Collection, Sequence
from functools import cache
from typing import NamedTuple

import duckdb
from deltalake import DeltaTable

from tribute_storage.errors import LakeError
from tribute_storage.lake import Lake
from tribute_storage.log import TableLog
from tribute_storage.querying.current import MEAN_OVER_REPLICATES, USES
from tribute_storage.schemas import schema_of

RUNS = """
SELECT '{table}' AS table_name, run_id, make_timestamptz(_committed_ms('{table}', run_id) * 1000) AS committed_at
FROM (SELECT DISTINCT run_id FROM {schema}."{table}")
"""
USAGE = """
SELECT * FROM {schema}.usage_events
QUALIFY row_number() OVER (PARTITION BY query_id ORDER BY time, content_sha256, customer_id,
    weight, inclusion_probability, content_json, run_id) = 1
"""
VIEWS = {
    "runs": "Which run was committed to which table, and when (UTC); influence is committed just before queries.",
    "usage": "Every use of the model once: of events with one query_id the earliest, whichever came in first.",
}


class Macro(NamedTuple):
    """A table macro: its call, its parameters' names, its documentation, its columns and its query."""

    call: str
    parameters: str
    doc: str
    columns: Sequence[str]
    """Name, type and meaning of each, separated by a space."""
    sql: str

    @property
    def name(self) -> str:
        """The name without parameters."""
        return self.call.partition("(")[0]


MACROS = (
    Macro(
        "top_sources(query)",
        "asked",
        "The sources of one query by influence, the greatest first, as its latest attribution has them.",
        (
            "source_id VARCHAR the source",
            "influence_nats DOUBLE mean over replicates, times the query's uses, nats; above 0: it helped",
            "std_error_nats DOUBLE of that mean: the replicates' spread and the sampled coalitions' error, nats",
            "run_id VARCHAR the attribution it is from",
        ),
        f"""
        WITH latest AS (
            SELECT q.run_id, {USES} FROM history.queries q
            JOIN runs r ON r.run_id = q.run_id AND r.table_name = 'queries'
            WHERE q.query_id = asked ORDER BY r.committed_at DESC, q.run_id DESC LIMIT 1
        )
        SELECT i.source_id, {MEAN_OVER_REPLICATES}, any_value(i.run_id) AS run_id
        FROM history.influence i JOIN latest q ON q.run_id = i.run_id WHERE i.query_id = asked
        GROUP BY i.source_id ORDER BY influence_nats DESC, source_id
        """,
    ),
    Macro(
        "publisher_value(period)",
        "month",
        "What a month was worth for each publisher: its settled valuation, or else the latest one.",
        (
            "publisher_id VARCHAR the payee",
            "value_nats DOUBLE calibrated value, nats",
            "ci_low_nats DOUBLE lower end of its interval, nats",
            "ci_high_nats DOUBLE upper end of its interval, nats",
            "share VARCHAR part of the pool, an exact fraction",
            "run_id VARCHAR the valuation it is from",
        ),
        """
        SELECT v.publisher_id, v.value_nats, v.ci_low_nats, v.ci_high_nats, v.share, v.run_id FROM valuations v
        WHERE v.level = 'publisher' AND v.period = month ORDER BY v.value_nats DESC, v.publisher_id
        """,
    ),
    Macro(
        "statement_lines(publisher, period)",
        "payee, month",
        "The lines of a publisher's statements of a month that hold now, the greatest amount first.",
        (
            "statement_id VARCHAR the statement",
            "statement_version INTEGER its version",
            "line_id VARCHAR the line",
            "source_id VARCHAR the source",
            "attribution_signed_nats VARCHAR influences as measured, summed by usage, decimal, nats",
            "attribution_payable_nats VARCHAR what of it is paid, decimal, nats",
            "amount_minor BIGINT money due for the source, minor units",
            "currency VARCHAR ISO 4217 code",
        ),
        """
        SELECT l.statement_id, l.statement_version, l.line_id, l.source_id, l.attribution_signed_nats,
            l.attribution_payable_nats, l.amount_minor, l.currency
        FROM statement_lines l WHERE l.publisher_id = payee AND l.period = month
        ORDER BY l.amount_minor DESC, l.line_id
        """,
    ),
)
AS_OF = Macro(
    "as_of(table, version)",
    "name, number",
    "A table as it was in a version (0 after its first commit), with the columns that it had then.",
    (),
    "FROM read_parquet(_files_of(name, number), union_by_name = true, hive_partitioning = false)",
)
"""Needs the lake's log. The others need the views of what is current, and `runs`."""


def create_functions(
    connection: duckdb.DuckDBPyConnection, lake: Lake, tables: Collection[str], schema: str
) -> None:
    """`runs`, `usage` and `as_of`, on a connection that has views of `tables` in `schema`."""

    def files_of(table: str, version: int) -> list[str]:
        schema_of(table)
        found = lake.files(table, version)
        if not found:
            raise LakeError(f"Version {version} of table {table} has no rows.")
        return found

    @cache
    def log_of(table: str) -> tuple[TableLog, DeltaTable | None]:
        log = TableLog(lake.location, table)
        return log, log.snapshot()

    def committed_ms(table: str, run_id: str) -> int:
        log, snapshot = log_of(table)
        return log.committed_at(run_id, snapshot) or 0

    connection.create_function("_files_of", files_of, ["VARCHAR", "BIGINT"], "VARCHAR[]")
    connection.create_function("_committed_ms", committed_ms, ["VARCHAR", "VARCHAR"], "BIGINT")
    timed = [RUNS.format(table=table, schema=schema) for table in tables if table != "influence"]
    views = {"runs": " UNION ALL ".join(timed)} if timed else {}
    views |= {"usage": USAGE.format(schema=schema)} if "usage_events" in tables else {}
    for name, query in views.items():
        connection.execute(f"CREATE VIEW {name} AS {query}")
        connection.execute(f"COMMENT ON VIEW {name} IS $${VIEWS[name]}$$")
    create_macros(connection, [AS_OF])


def create_macros(connection: duckdb.DuckDBPyConnection, macros: Sequence[Macro]) -> None:
    """Macros on a connection, or in a database file, that has the views they read."""
    for macro in macros:
        connection.execute(f"CREATE MACRO {macro.name}({macro.parameters}) AS TABLE {macro.sql}")
        connection.execute(f"COMMENT ON MACRO TABLE {macro.name} IS $${macro.call}: {macro.doc}$$")
