"""The rows of one reader: queries over the lake's views that `publish_rules` allows."""

import duckdb

from tribute_storage.lake import Lake
from tribute_storage.publishing.pseudonyms import Pseudonyms
from tribute_storage.publishing.rules import MONTHS, RULES
from tribute_storage.querying.current import current_columns, current_doc
from tribute_storage.querying.literals import literal
from tribute_storage.schemas import SCHEMAS, columns_at, doc_of, schema_of

HOLDS_EVER = "coalesce(valid_from < valid_to, true)"
HOLDS = f"""
{HOLDS_EVER}
AND coalesce(valid_from < try_cast({{month}} || '-01' AS DATE) + INTERVAL 1 MONTH, valid_from IS NULL)
AND coalesce(valid_to > try_cast({{month}} || '-01' AS DATE), valid_to IS NULL)
"""
# A book of rights is committed whole: the newest that names a source says whose it is.
PREPARED = """
CREATE TEMP TABLE all_runs AS FROM runs;
CREATE TEMP TABLE book AS
    SELECT source_id, publisher_id, valid_from, valid_to FROM rights JOIN all_runs USING (run_id)
    WHERE table_name = 'rights'
    QUALIFY dense_rank() OVER (PARTITION BY source_id ORDER BY committed_at DESC, run_id DESC) = 1;
CREATE TEMP TABLE run_periods AS SELECT DISTINCT run_id, period FROM queries;
CREATE TEMP TABLE asked AS
    SELECT run_id, query_id, min(period) AS period, {pseudonym} AS published_id
    FROM queries t WHERE {month} GROUP BY run_id, query_id;
"""
OF_READER = f"""
CREATE OR REPLACE TEMP TABLE reader AS SELECT {{reader}} AS publisher_id;
CREATE OR REPLACE TEMP TABLE mine AS
    SELECT DISTINCT source_id FROM book WHERE publisher_id IN (FROM reader) AND {{holds}};
CREATE OR REPLACE TEMP TABLE held AS
    SELECT DISTINCT source_id, period FROM book, (SELECT DISTINCT period FROM run_periods)
    WHERE publisher_id IN (FROM reader) AND {HOLDS.format(month="period")};
CREATE OR REPLACE TEMP TABLE sums AS
    WITH lasting AS (SELECT run_id, count(*) AS periods FROM run_periods GROUP BY run_id)
    SELECT run_id, source_id FROM run_periods JOIN held USING (period) JOIN lasting USING (run_id)
    GROUP BY run_id, source_id, periods HAVING count(*) = periods;
"""


def prepare(connection: duckdb.DuckDBPyConnection, lake: Lake, period: str | None) -> None:
    """Create the tables that all readers share: runs with times, rights in force, queries of the month."""
    pseudonym = Pseudonyms(lake).sql("query_id")
    connection.execute(PREPARED.format(pseudonym=pseudonym, month=_month("queries", period)))


def turn_to(connection: duckdb.DuckDBPyConnection, publisher: str, period: str | None) -> None:
    """Create the tables that one publisher's queries need: its sources, by month and by run."""
    holds = HOLDS_EVER if period is None else HOLDS.format(month=literal(period))
    connection.execute(OF_READER.format(reader=literal(publisher), holds=holds))


def rows_of(table: str, publisher: str | None, period: str | None) -> str:
    """SQL for the rows of a table that a publisher, or the operator (None), sees, in a fixed order."""
    if publisher is None:
        return f'SELECT t.* FROM memory.main."{table}" t WHERE {_month(table, period)} ORDER BY ALL'
    rule, known = RULES[table], columns_at(table, RULES[table].examined)
    shown = ", ".join(f'{_shown(table, field.name, known)} AS "{field.name}"' for field in schema_of(table))
    condition = f"({rule.rows}) AND {_month(table, period)}"
    return f'SELECT {shown} FROM memory.main."{table}" t {rule.join} WHERE {condition} ORDER BY ALL'


def reader_comments(table: str, publisher: str | None) -> list[str]:
    """SQL comments on which part of a table a publisher's file shows; none for the operator's file."""
    if publisher is None:
        return []
    rule, schema, shown = RULES[table], schema_of(table), [column.name for column in current_columns(table)]
    kinds = (("TABLE", f'history."{table}"', doc_of(schema)), ("VIEW", f'"{table}"', current_doc(table)))
    found = []
    for kind, place, doc in kinds:
        found.append(f"COMMENT ON {kind} {place} IS {literal(f'{doc} In this file: {rule.reason}.')}")
        for name, (_, what) in rule.columns.items():
            if kind == "TABLE" or name in shown:
                here = f"{doc_of(schema.field(name))}; in this file {what}"
                found.append(f'COMMENT ON COLUMN {place}."{name}" IS {literal(here)}')
    return found


def known_publishers(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Every publisher that a row of the lake names."""
    return _distinct(connection, "publisher_id")


def known_periods(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Every month that a row of the lake belongs to."""
    return _distinct(connection, "period")


def _distinct(connection: duckdb.DuckDBPyConnection, column: str) -> list[str]:
    parts = [f'SELECT "{column}" FROM "{table}"' for table, schema in SCHEMAS.items() if column in schema.names]
    return [value for (value,) in connection.execute(f"{' UNION '.join(parts)} ORDER BY 1").fetchall()]


def _month(table: str, period: str | None) -> str:
    if period is None:
        return "true"
    return MONTHS.get(table) or (f"t.period = {literal(period)}" if "period" in schema_of(table).names else "true")


def _shown(table: str, name: str, known: set[str]) -> str:
    if name in known:
        return RULES[table].columns.get(name, (f't."{name}"', ""))[0]
    return "NULL"
