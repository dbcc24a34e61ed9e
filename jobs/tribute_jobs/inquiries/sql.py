"""`tribute sql`: finds the query, runs it on the lake or a published file, writes the result."""

import json
import math
import re
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from rich.table import Table
from rich.text import Text

from tribute.errors import ConfigError
from tribute.royalty.exact.text import inert
from tribute_jobs.opening import open_project
from tribute_jobs.printing import Heading, print_table, printable, terminal
from tribute_jobs.reversal import double_finals
from tribute_storage import Limits, describe, query, query_published
from tribute_storage.atomic import write_atomically

READABLE = 20
"""Columns of a terminal that a column of a table needs at least, or all that it has."""
NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
FORMATS = ("table", "csv", "json", "parquet")
PUBLISHED_SCHEMA = """
with named as (
    select schema_name, table_name as name, column_name, data_type as type, comment
    from duckdb_columns() where not internal
    union all select schema_name, table_name, '*', 'table', comment from duckdb_tables() where not internal
    union all select schema_name, view_name, '*', 'view', comment from duckdb_views() where not internal
    union all select schema_name, function_name, '*', 'macro', comment from duckdb_functions() where not internal
)
select if(schema_name = 'main', '', schema_name || '.') || name as "table", column_name as "column", type,
    comment as meaning
from named order by schema_name <> 'main', "table", "column" = '*' desc
"""


def answer(
    target: Path, text: str, file: Path | None, as_of: str | None, seconds: float, memory_gib: float, schema: bool
) -> pa.Table:
    """The rows of a query; without a query, or with `schema`, the tables, views and macros with their columns.

    Raises:
        ConfigError: the query comes from two places or from an unreadable file, or `as_of` is given for a file.
        LakeError: the query is refused, fails, or exceeds a limit.
    """
    published = target.suffix == ".duckdb"
    if published and as_of is not None:
        raise ConfigError("--as-of needs a project: a published file holds one moment only")
    project = None if published else open_project(target)
    asked = PUBLISHED_SCHEMA if published and schema else _query(text, file)
    limits = Limits(seconds, memory_gib)
    if project is None:
        return query_published(target, asked or PUBLISHED_SCHEMA, limits=limits)
    if schema or not asked:
        return describe()
    for double in double_finals(project):
        shown = f"warning: {double.problem}. Until then, views show the run that was committed last"
        print(printable(shown), file=sys.stderr)
    return query(project.lake_root, asked, limits=limits, as_of=as_of)


def write_rows(rows: pa.Table, output: str, path: Path | None) -> None:
    """Rows as a table for people, CSV, JSON lines or Parquet, to a file or to standard output.

    Raises:
        ConfigError: there is no such format, a file is asked for a table, or a terminal for Parquet.
    """
    if output not in FORMATS:
        raise ConfigError(f"There is no format {output!r}. Choose one of: {', '.join(FORMATS)}")
    if output == "parquet" and path is None and sys.stdout.isatty():
        raise ConfigError("Parquet is not for a terminal. Name a file with --output, or send it to one with >")
    if output == "table" and path is not None:
        raise ConfigError("The format table is for terminals. Choose --format csv, json or parquet for a file")
    try:
        if output == "table":
            _print_table(rows)
        elif path is not None:
            write_atomically(path, _encoded(rows, output))
        else:
            sys.stdout.buffer.write(_encoded(rows, output))
            sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except (OSError, OverflowError, ValueError, pa.ArrowException) as error:
        raise ConfigError(
            f"The answer cannot be written as {output}{f' to {path}' if path else ''}: {error}. Choose "
            "another file or format, or cast the column in the query"
        ) from None


def _query(text: str, file: Path | None) -> str:
    if not text and file is None:
        return ""
    asked = _read(text, file)
    if not asked.strip():
        raise ConfigError(f"{file or 'Standard input'} holds no query. Write one SELECT, or use --schema")
    return asked


def _read(text: str, file: Path | None) -> str:
    if text and file is not None:
        raise ConfigError("The query is given twice. Give it as an argument or as --file, not as both")
    if file is not None:
        try:
            return file.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"Query file {file} cannot be read: {error}") from None
    return sys.stdin.read() if text == "-" else text


def _encoded(rows: pa.Table, output: str) -> bytes:
    if output == "json":
        return "".join(f"{json.dumps(row, default=str, allow_nan=False)}\n" for row in _records(rows)).encode()
    sink = pa.BufferOutputStream()
    if output == "csv":
        pa.csv.write_csv(_flat(rows), sink)
    else:
        pa.parquet.write_table(rows, sink, compression="zstd")
    return sink.getvalue().to_pybytes()


def _records(rows: pa.Table) -> Iterator[dict[str, object]]:
    """Rows as JSON can hold them; of columns with one name the later ones get a number."""
    names: list[str] = []
    for name in rows.column_names:
        names.append(name if name not in names else f"{name}_{rows.column_names[: len(names)].count(name)}")
    for values in zip(*(column.to_pylist() for column in rows.columns), strict=True):
        yield {name: _plain(value) for name, value in zip(names, values, strict=True)}


def _plain(value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Decimal) and value == value.to_integral_value():
        return int(value)
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return {name: _plain(each) for name, each in value.items()} if isinstance(value, dict) else value


def _flat(rows: pa.Table) -> pa.Table:
    """Columns as CSV can hold them: nested ones as JSON text, and no text that a spreadsheet would run."""
    names = [inert(name) for name in rows.column_names]
    for index, field in enumerate(rows.schema):
        if pa.types.is_nested(field.type):
            texts = [
                None if value is None else json.dumps(value, default=str) for value in rows[index].to_pylist()
            ]
            rows = rows.set_column(index, field.name, pa.array(texts, pa.string()))
        elif _is_text(field.type):
            rows = rows.set_column(index, field.name, pa.array(map(_inert, rows[index].to_pylist()), pa.string()))
    return rows.rename_columns(names)


def _is_text(kind: pa.DataType) -> bool:
    plain = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(plain) or pa.types.is_large_string(plain) or pa.types.is_string_view(plain))


def _inert(text: str | None) -> str | None:
    """Text without formulas; numbers that are stored as text are none."""
    return text if text is None or NUMBER.fullmatch(text) else inert(text)


def _print_table(rows: pa.Table) -> None:
    """A table; where a window is too narrow for readable columns, each row as lines of a name and a value."""
    cells = [list(map(_shown, row)) for row in zip(*(column.to_pylist() for column in rows.columns), strict=True)]
    console, names = terminal(), rows.column_names
    widths = [max(map(len, (name, *column))) for name, *column in zip(names, *cells, strict=True)]
    if sum(min(width, READABLE) + 3 for width in widths) >= console.width:
        print_table(console, [Heading(name, right=False) for name in names], cells)
        return
    table = Table()
    for index, name in enumerate(names):
        floating = pa.types.is_floating(rows.schema.field(index).type)
        table.add_column(Text(name), overflow="fold", justify="right" if floating else "left")
    for row in cells:
        table.add_row(*map(Text, row))
    console.print(table)


def _shown(value: object) -> str:
    text = "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
    return printable(text)
