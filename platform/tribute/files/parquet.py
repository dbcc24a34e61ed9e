"""Parquet files that others wrote."""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tribute.ids import excerpt


def read_parquet(path: Path) -> pa.Table:
    """The table of a file. Bytes without the mark of UTF-8, as Hive and Impala write text, are read as UTF-8, and
    moments to the microsecond.

    Raises:
        ValueError, OSError, pyarrow.ArrowException: the file cannot be read, a column name occurs twice, or a
            column of bytes is not UTF-8, or one of moments holds none; names the column.
    """
    names = pq.read_schema(path).names
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"the column {excerpt(twice[0])} occurs twice. Remove one of the two")
    table = pq.read_table(path, partitioning=None)
    for index, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type):
            table = table.set_column(index, field.name, _moments(field, table[index]))
    for index, field in enumerate(table.schema):
        if _is_bytes(field.type):
            try:
                texts = table[index].cast(pa.binary()).cast(pa.string())
            except pa.ArrowException:
                raise ValueError(
                    f"column {excerpt(field.name)} holds bytes that are not UTF-8. Write it as text, or leave it "
                    "out"
                ) from None
            table = table.set_column(index, field.name, texts)
    return table


def _moments(field: pa.Field, column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Moments to the microsecond; digits beyond are cut off, so that a moment stays in its month."""
    try:
        moments = pc.floor_temporal(column, unit="microsecond") if field.type.unit == "ns" else column
        moments = moments.cast(pa.timestamp("us", field.type.tz))
        if moments.null_count < len(moments):
            edges = pc.min_max(moments)
            edges["min"].as_py(), edges["max"].as_py()  # fails beyond the years that Python's dates have
    except (pa.ArrowException, ValueError, OverflowError, KeyError) as error:
        raise ValueError(
            f"column {excerpt(field.name)} holds moments that are none: {error}. Correct them"
        ) from None
    return moments


def _is_bytes(kind: pa.DataType) -> bool:
    plain = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(
        pa.types.is_binary(plain)
        or pa.types.is_large_binary(plain)
        or pa.types.is_fixed_size_binary(plain)
        or pa.types.is_binary_view(plain)
    )
