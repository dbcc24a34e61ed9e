"""The lake as a publisher may see it: tables that hold its own rows and no others."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import duckdb

from tribute.config import Project
from tribute.ids import nfc
from tribute_storage import LakeError, open_tables
from tribute_storage.querying.literals import literal

Row = dict[str, Any]
BY_PUBLISHER = ("statements", "statement_lines", "valuations", "rights", "publishers", "disputes")
"""Tables whose rows name their publisher."""
MONTHS = """
select period, statement_version as version, run_id as run, case
    when coalesce(status, 'draft') = 'draft' then 'draft'
    when (period, statement_version) in (select (period, statement_version) from bundles) then 'final'
    else 'half_closed' end as state
from statements qualify row_number() over (
    partition by period order by statement_version desc, state <> 'draft' desc, run_id desc
) = 1
"""
"""The newest version of every month, whoever has a statement in it, the run that issued it, and its state."""
DOUBLES = """
select period, statement_version as version, min(run_id) as run, max(run_id) as other
from statements where status = 'final' group by all having run <> other
"""
"""Versions that two runs issued as final: nobody knows which of the two counts."""


@contextmanager
def scoped(project: Project, publisher_id: str | None, *tables: str) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to some tables of the lake; for a publisher they hold its own rows alone.

    The filter is part of the tables themselves, so no query on the connection can leave it out. Beside
    `statements` there are `bundles`, `months` and `doubles`, which name no publisher: see `MONTHS`, `DOUBLES`.

    Raises:
        LakeError: a publisher may not see a table at all.
    """
    foreign = sorted({*tables} - {*BY_PUBLISHER})
    if publisher_id is not None and foreign:
        raise LakeError(f"Tables {', '.join(foreign)} hold rows of all publishers. Read them for the operator")
    behind = ("bundles",) if "statements" in tables else ()
    with open_tables(project.lake_root, *tables, *behind) as connection:
        if behind:
            connection.execute(f"create table months as {MONTHS}")
            connection.execute(f"create table doubles as {DOUBLES}")
        if publisher_id is not None:
            for table in tables:
                _restrict(connection, table, nfc(publisher_id))
        yield connection


def rows(connection: duckdb.DuckDBPyConnection, query: str, /, **values: object) -> list[Row]:
    """The rows of a query, by column name. `values`: its named parameters."""
    found: list[Row] = connection.sql(query, params=values).to_arrow_table().to_pylist()
    return found


def _restrict(connection: duckdb.DuckDBPyConnection, table: str, publisher_id: str) -> None:
    own = f"publisher_id = {literal(publisher_id)}"
    connection.execute(f'alter view "{table}" rename to "whole_{table}"')
    connection.execute(f'create view "{table}" as select * from "whole_{table}" where {own}')
