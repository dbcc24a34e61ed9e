"""Every table, view and macro of the lake, with the documentation of its columns."""

import pyarrow as pa

from tribute_storage.querying.macros import MACROS, VIEWS
from tribute_storage.querying.views import SQL_TYPES
from tribute_storage.schemas import SCHEMAS, doc_of


def describe() -> pa.Table:
    """Every column of the lake: table, column, type and meaning; macros by the way they are called."""
    rows: list[tuple[str, ...]] = [
        (table, field.name, SQL_TYPES[field.type], doc_of(field))
        for table, schema in SCHEMAS.items()
        for field in schema
    ]
    rows += [(name, "*", "view", doc) for name, doc in VIEWS.items()]
    for macro in MACROS:
        rows.append((macro.call, "*", "macro", macro.doc))
        rows += [(macro.call, *column.split(" ", 2)) for column in macro.columns]
    names = ("table", "column", "type", "meaning")
    return pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows])
