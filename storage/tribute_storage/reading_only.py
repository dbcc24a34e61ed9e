"""Does a statement only read? Decided on DuckDB's own parse tree, by lists of what is allowed.

DuckDB types `WITH x AS (COPY ...) SELECT ...` as a SELECT, and a path that may be read may also be written:
with `use_tmp_file false` such a statement overwrites a committed file, even with external access off.
"""

import json
from collections.abc import Iterator
from typing import Any

import duckdb

from tribute_storage.errors import LakeError

ALLOWED = "one SELECT, WITH ... SELECT, FROM, VALUES, DESCRIBE, SUMMARIZE or SHOW TABLES"
READING_NODES = {"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"}
READING_FUNCTIONS = {
    "duckdb_columns",
    "duckdb_functions",
    "duckdb_tables",
    "duckdb_views",
    "generate_series",
    "histogram",
    "histogram_values",
    "json_each",
    "json_tree",
    "pragma_version",
    "range",
    "repeat",
    "unnest",
}


def require_reading_only(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    """Refuse `sql` unless it is one statement that reads.

    Raises:
        LakeError: the text does not parse, holds no or several statements, writes or changes settings at any
            depth, or calls a table function that is not on the list; says what is allowed.
    """
    try:
        kinds = [statement.type.name for statement in connection.extract_statements(sql)]
    except duckdb.Error as error:
        raise LakeError(str(error)) from error
    if len(kinds) != 1:
        raise LakeError(f"Got {len(kinds)} statements; a query is {ALLOWED}.")
    if kinds[0] != "SELECT":
        raise LakeError(f"{kinds[0]} is refused; a query is {ALLOWED}.")
    for part in _parts(_syntax(connection, sql)):
        _require_reading(part)


def _syntax(connection: duckdb.DuckDBPyConnection, sql: str) -> Any:
    try:
        rows = connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [sql]).fetchall()
        tree = json.loads(rows[0][0])
    except (duckdb.Error, RecursionError) as error:
        raise LakeError(f"The query cannot be checked: {error}. A query is {ALLOWED}.") from error
    if not isinstance(tree, dict) or tree.get("error", True):
        raise LakeError(f"The query cannot be checked to only read; a query is {ALLOWED}.")
    return tree


def _parts(tree: Any) -> Iterator[dict[str, Any]]:
    waiting = [tree]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            yield part
            waiting.extend(part.values())
        elif isinstance(part, list):
            waiting.extend(part)


def _require_reading(part: dict[str, Any]) -> None:
    kind = str(part.get("type", ""))
    if ("cte_map" in part or kind.endswith("_NODE")) and kind not in READING_NODES:
        raise LakeError(f"{kind.split('_')[0]} inside a query is refused; a query is {ALLOWED}.")
    if kind == "TABLE_FUNCTION":
        name = str(part.get("function", {}).get("function_name", "")).lower()
        if name not in READING_FUNCTIONS:
            raise LakeError(
                f"Table function {name} is refused; read the lake's tables by name "
                f"or use one of: {', '.join(sorted(READING_FUNCTIONS))}."
            )
