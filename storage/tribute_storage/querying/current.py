"""What an analyst finds first: views of what is current, in place of the tables of the same names.

A table of the lake keeps every row that was ever committed: every replicate, superseded runs, drafts and restated
versions. Those tables stand in the schema `history`. Sums over the views below count everything once.
"""

from collections.abc import Iterator
from typing import NamedTuple

import duckdb

from tribute_storage.querying.literals import literal
from tribute_storage.schemas import SCHEMAS, SQL_TYPES, doc_of

USES = "q.weight / q.inclusion_probability / q.readout_probability AS uses"
"""Uses of the model that a query `q` stands for."""
MEAN_OVER_REPLICATES = """
any_value(q.uses) * avg(i.influence_nats::DOUBLE ORDER BY i.replicate) AS influence_nats,
any_value(q.uses) * sqrt(coalesce(var_samp(i.influence_nats ORDER BY i.replicate), 0) / count(*)
    + max(i.std_error_nats::DOUBLE) ** 2) AS std_error_nats
"""
"""Of influences `i` of a source on the uses of a query `q`, in a fixed order, so always the same bits.

All replicates have the same coalitions, so their mean is no surer of what other coalitions would tell.
"""
_LATEST = """
SELECT t.* FROM history.{table} t SEMI JOIN (
    SELECT run_id FROM {{runs}} ORDER BY committed_at DESC, run_id DESC LIMIT 1
) USING (run_id)
"""


class Column(NamedTuple):
    """A column of a view: its name, SQL type and meaning."""

    name: str
    type: str
    doc: str


class CurrentView(NamedTuple):
    """A view of what is current in a table.

    Attributes:
        doc: which rows it has.
        sql: over the tables in `history` and the views before it; `{runs}` stands for the runs of a table and
            their moments.
        runs_of: the table whose runs `{runs}` stands for; None: the view's own.
        columns: names of the table's columns that it keeps; None: all.
        added: columns that it adds.
    """

    doc: str
    sql: str
    columns: tuple[str, ...] | None = None
    added: tuple[Column, ...] = ()
    runs_of: str | None = None


CURRENT = {
    "statements": CurrentView(
        "One row per statement that holds now: the last final version of a month, or its newest draft; none of a "
        "run that was reversed.",
        """
        SELECT s.* REPLACE (coalesce(s.status, 'draft') AS status) FROM history.statements s SEMI JOIN (
            SELECT run_id FROM (
                SELECT DISTINCT run_id, period, statement_version, status FROM history.statements h
                ANTI JOIN history.reversals v ON v.reversed_run = h.run_id
            ) JOIN {runs} USING (run_id)
            QUALIFY row_number() OVER (PARTITION BY period ORDER BY coalesce(status, 'draft') = 'final' DESC,
                statement_version DESC, committed_at DESC, run_id DESC) = 1
        ) USING (run_id)
        """,
    ),
    "statement_lines": CurrentView(
        "The lines of the statements that hold now; a month's amounts sum to its pools.",
        """
        SELECT l.*, s.statement_version, s.status, s.currency
        FROM history.statement_lines l JOIN statements s ON s.run_id = l.run_id AND s.statement_id = l.statement_id
        """,
        added=(
            Column("statement_version", "INTEGER", "version of the statement"),
            Column("status", "VARCHAR", "of the statement: draft, or final"),
            Column("currency", "VARCHAR", "ISO 4217 code"),
        ),
    ),
    "bundles": CurrentView(
        "One row per closed version of a month that stands: the signed proof of its statements.",
        "SELECT b.* FROM history.bundles b ANTI JOIN history.reversals v ON v.reversed_bundle = b.run_id",
    ),
    "valuations": CurrentView(
        "What a month's queries owe now: the valuation that its statements pay, or else the latest one.",
        """
        SELECT v.* FROM history.valuations v SEMI JOIN (
            SELECT value_run AS run_id FROM statements UNION ALL
            SELECT run_id FROM (SELECT DISTINCT run_id, period FROM history.valuations)
            ANTI JOIN statements USING (period) JOIN {runs} USING (run_id)
            QUALIFY row_number() OVER (PARTITION BY period ORDER BY committed_at DESC, run_id DESC) = 1
        ) USING (run_id)
        """,
    ),
    "queries": CurrentView(
        "One row per use of the model that the month's valuation counts, or else the latest attribution.",
        f"""
        SELECT q.*, {USES} FROM history.queries q SEMI JOIN (
            SELECT period, unnest(attribute_runs) AS run_id FROM valuations UNION ALL
            SELECT period, run_id FROM (SELECT DISTINCT period, run_id, simulate_run, origin FROM history.queries)
            ANTI JOIN (FROM valuations WHERE attribute_runs IS NOT NULL) USING (period)
            JOIN {{runs}} USING (run_id)
            WINDOW newest AS (PARTITION BY period ORDER BY committed_at DESC, run_id DESC),
                newest_of_origin AS (PARTITION BY period, origin ORDER BY committed_at DESC, run_id DESC)
            QUALIFY simulate_run = first_value(simulate_run) OVER newest
                AND (origin = 'service' OR row_number() OVER newest_of_origin = 1)
        ) USING (period, run_id)
        """,
        added=(Column("uses", "DOUBLE", "uses that it stands for: weight, divided by both probabilities"),),
    ),
    "influence": CurrentView(
        "How much a source helped all uses of a query, as the mean over replicates. Sums by source are what a "
        "report prints as attribution, unless the policy caps customers or only a sample was read out.",
        f"""
        SELECT i.run_id, i.source_id, i.query_id,
            {MEAN_OVER_REPLICATES},
            q.period, any_value(q.uses) AS uses, count(*) AS replicates
        FROM history.influence i JOIN queries q ON q.run_id = i.run_id AND q.query_id = i.query_id
        GROUP BY i.run_id, i.source_id, i.query_id, q.period
        """,
        columns=("run_id", "source_id", "query_id"),
        added=(
            Column("influence_nats", "DOUBLE", "mean over replicates, times uses, nats; above 0: it helped"),
            Column(
                "std_error_nats",
                "DOUBLE",
                "its standard error: spread of the replicates, and sampled coalitions; all queries have the same "
                "ones, so errors of sums do not add up like independent ones",
            ),
            Column("period", "VARCHAR", "the month of the query, as YYYY-MM"),
            Column("uses", "DOUBLE", "uses that the query stands for; influence_nats / uses is that of one use"),
            Column("replicates", "BIGINT", "trainings that the mean is over"),
        ),
    ),
    "influence_tokens": CurrentView(
        "How much a source helped all uses of each token of a query, as the mean over replicates; the positions "
        "of a query and source add up to the row of influence.",
        """
        SELECT t.run_id, t.source_id, t.query_id, t.position,
            any_value(q.uses) * avg(t.influence_nats::DOUBLE ORDER BY t.replicate) AS influence_nats,
            q.period, any_value(q.uses) AS uses
        FROM history.influence_tokens t JOIN queries q ON q.run_id = t.run_id AND q.query_id = t.query_id
        GROUP BY t.run_id, t.source_id, t.query_id, t.position, q.period
        """,
        columns=("run_id", "source_id", "query_id", "position"),
        added=(
            Column("influence_nats", "DOUBLE", "mean over replicates, times uses, nats; above 0: it helped"),
            Column("period", "VARCHAR", "the month of the query, as YYYY-MM"),
            Column("uses", "DOUBLE", "uses that the query stands for"),
        ),
    ),
} | {
    table: CurrentView(f"{doc_of(SCHEMAS[table])} {which}", _LATEST.format(table=table), runs_of=runs_of)
    for table, runs_of, which in (
        ("corpus_sources", "corpus_sources", "Of the corpus that was read last."),
        ("corpus_documents", "corpus_sources", "Of the corpus that was read last."),
        ("corpus_duplicates", "corpus_sources", "Of the corpus that was read last."),
        ("rights", "rights", "Of the book of rights that was read last."),
        ("publishers", "publishers", "Of the book of rights that was read last."),
    )
}


def create_current(connection: duckdb.DuckDBPyConnection, runs: str) -> None:
    """The views, on a connection or in a database file that has the tables in `history`.

    Args:
        runs: SQL for the runs of a table, `{table}`, and their moments: `run_id` and `committed_at`.
    """
    for table in (*CURRENT, *(each for each in SCHEMAS if each not in CURRENT)):  # each after those that it reads
        view = CURRENT.get(table, CurrentView("", f'FROM history."{table}"'))
        query = view.sql.format(runs=f"({runs.format(table=view.runs_of or table)})")
        connection.execute(f'CREATE VIEW "{table}" AS {query}')


def current_doc(table: str) -> str:
    """What the view of a table holds."""
    return CURRENT[table].doc if table in CURRENT else doc_of(SCHEMAS[table])


def current_columns(table: str) -> Iterator[Column]:
    """The columns of the view of a table."""
    view = CURRENT.get(table)
    for field in SCHEMAS[table]:
        if view is None or view.columns is None or field.name in view.columns:
            yield Column(field.name, SQL_TYPES[field.type], doc_of(field))
    yield from view.added if view else ()


def current_comments(table: str) -> list[str]:
    """Statements that document the view of a table, and its columns."""
    columns = [
        f'COMMENT ON COLUMN "{table}"."{column.name}" IS {literal(column.doc)}'
        for column in current_columns(table)
    ]
    return [f'COMMENT ON VIEW "{table}" IS {literal(current_doc(table))}', *columns]
