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
BY_SOURCE = ("corpus_sources", "learning")
"""Tables whose rows name a source. A publisher sees those of sources that a valuation credits it with."""
MONTHS = """
select period, max(statement_version) as version, max_by(coalesce(status, 'draft'), statement_version) as state
from statements group by period
"""
"""The newest version of every month, whoever has a statement in it."""


@contextmanager
def scoped(project: Project, publisher_id: str | None, *tables: str) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to some tables of the lake; for a publisher they hold its own rows alone.

    The filter is part of the tables themselves, so no query on the connection can leave it out. Beside
    `statements` there is `months`: the newest version of every month, and whether it is draft or final.

    Raises:
        LakeError: a publisher may not see a table at all.
    """
    foreign = sorted({*tables} - {*BY_PUBLISHER, *BY_SOURCE})
    if publisher_id is not None and foreign:
        raise LakeError(f"Tables {', '.join(foreign)} hold rows of all publishers. Read them for the operator")
    named = dict.fromkeys(("valuations", *tables) if {*tables} & {*BY_SOURCE} else tables)
    with open_tables(project.lake_root, *named) as connection:
        if "statements" in named:
            connection.execute(f"create table months as {MONTHS}")
        if publisher_id is not None:
            for table in named:
                _restrict(connection, table, nfc(publisher_id))
        yield connection


def rows(connection: duckdb.DuckDBPyConnection, query: str, /, **values: object) -> list[Row]:
    """The rows of a query, by column name. `values`: its named parameters."""
    found: list[Row] = connection.sql(query, params=values).to_arrow_table().to_pylist()
    return found


def _restrict(connection: duckdb.DuckDBPyConnection, table: str, publisher_id: str) -> None:
    own = f"publisher_id = {literal(publisher_id)}"
    if table in BY_SOURCE:
        own = f"source_id in (select source_id from valuations where level = 'line' and {own})"
    connection.execute(f'alter view "{table}" rename to "whole_{table}"')
    connection.execute(f'create view "{table}" as select * from "whole_{table}" where {own}')
