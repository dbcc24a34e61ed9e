"""Every table, view and macro of the lake, with the documentation of its columns."""

import pyarrow as pa

from tribute_storage.querying.current import CURRENT, current_columns
from tribute_storage.querying.macros import AS_OF, MACROS, VIEWS
from tribute_storage.schemas import SCHEMAS, SQL_TYPES, doc_of


def describe() -> pa.Table:
    """Every column of the lake: table, column, type and meaning; macros by the way they are called.

    Tables whose name shows only what is current are listed a second time, whole, as `history.TABLE`.
    """
    rows: list[tuple[str, ...]] = [(table, *column) for table in SCHEMAS for column in current_columns(table)]
    rows += [
        (f"history.{table}", field.name, SQL_TYPES[field.type], doc_of(field))
        for table in CURRENT
        for field in SCHEMAS[table]
    ]
    rows += [(name, "*", "view", doc) for name, doc in VIEWS.items()]
    for macro in (*MACROS, AS_OF):
        rows.append((macro.call, "*", "macro", macro.doc))
        rows += [(macro.call, *column.split(" ", 2)) for column in macro.columns]
    names = ("table", "column", "type", "meaning")
    return pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows])
