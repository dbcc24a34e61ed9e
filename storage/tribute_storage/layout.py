"""The layout of rows in a file: sorted, and cut into row groups that SQL can skip.

A row group of `influence` is a tile: at most 64 sources by 4,096 queries. The statistics of both columns then
exclude most row groups, whether one source is asked for or one query, and the ids of a group cost next to nothing.
Small tiles share a row group: a few queries of the service are not cut by sources.
"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tribute_storage.columns import bits_of
from tribute_storage.schemas import order_of, tile_of

ROW_GROUP = 1_000_000
MIN_TILE_ROWS = 16_384
"""Minimum rows of a row group in a table that is cut into tiles. The last group of a file may have fewer."""
FLOAT32_BITS = 24


def parquet(table: str, rows: pa.Table, row_group: int = ROW_GROUP) -> bytes:
    """A zstd Parquet file of rows that conform to their table: ids dictionary-encoded, floats in byte planes.

    Args:
        row_group: most rows in a row group.
    """
    floats = [field.name for field in rows.schema if pa.types.is_floating(field.type)]
    others = [_leaf(field) for field in rows.schema if field.name not in floats]
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(
        sink, rows.schema, compression="zstd", use_dictionary=others, use_byte_stream_split=floats
    ) as writer:
        for group in row_groups(table, rows):
            writer.write_table(_rounded(group), row_group_size=row_group)
    return sink.getvalue().to_pybytes()


def row_groups(table: str, rows: pa.Table) -> Iterator[pa.Table]:
    """The rows in the order of their table, cut where a row group ends; one group is in memory at a time."""
    tile, rows = tile_of(table), rows.combine_chunks()
    if not tile or not rows.num_rows:
        keys = pa.table({name: _plain(rows[name]) for name in order_of(table)})
        yield rows.take(pc.sort_indices(keys, sort_keys=[(name, "ascending") for name in keys.column_names]))
        return
    ranks = {name: _ranks(rows[name]) for name in order_of(table)}
    tile_N = np.zeros(rows.num_rows, np.int64)
    for name, width in tile.items():
        band_N = ranks[name] // width
        tile_N = tile_N * (int(band_N.max()) + 1) + band_N
    row_N = np.argsort(_smallest(tile_N), kind="stable")
    for begin, end in pairwise(_cuts(np.bincount(tile_N))):
        chosen = row_N[begin:end]
        key = tile_N[chosen]
        for name, rank_N in ranks.items():
            width = tile.get(name, int(rank_N.max()) + 1)
            key = key * width + rank_N[chosen] % np.int32(width)
        yield _compacted(rows.take(pa.array(chosen[np.argsort(key, kind="stable")])))


def _ranks(values: pa.ChunkedArray) -> NDArray[np.int32]:
    """The rank of every value among the distinct values, from 0."""
    encoded = values.combine_chunks().dictionary_encode()
    rank = pc.rank(encoded.dictionary, sort_keys="ascending", tiebreaker="first").to_numpy()
    return (rank - 1).astype(np.int32)[encoded.indices.to_numpy()]


def _smallest(tile_N: NDArray[np.int64]) -> NDArray[np.integer]:
    """The same numbers in 16 bits if they fit, which numpy sorts many times faster."""
    return tile_N.astype(np.uint16) if tile_N.max() < 2**16 else tile_N


def _cuts(counts: NDArray[np.int64]) -> list[int]:
    """Where row groups end, given the rows of every tile: as soon as there are enough."""
    cuts = [0]
    for end in np.cumsum(counts).tolist():
        if end - cuts[-1] >= MIN_TILE_ROWS:
            cuts.append(end)
    total = int(counts.sum())
    if cuts[-1] == total:
        return cuts
    return [*cuts, total]


def _compacted(group: pa.Table) -> pa.Table:
    """The group without unused text in its dictionaries, which the file would otherwise keep."""
    for index, field in enumerate(group.schema):
        if pa.types.is_dictionary(field.type):
            encoded = group[field.name].combine_chunks()
            at_N = encoded.indices.to_numpy()
            used = np.zeros(len(encoded.dictionary), bool)
            used[at_N] = True
            indices = pa.array((np.cumsum(used) - 1)[at_N], field.type.index_type)
            texts = encoded.dictionary.take(pa.array(np.flatnonzero(used)))
            group = group.set_column(index, field, pa.DictionaryArray.from_arrays(indices, texts))
    return group


def _plain(values: pa.ChunkedArray) -> pa.ChunkedArray:
    return values.cast(values.type.value_type) if pa.types.is_dictionary(values.type) else values


def _rounded(rows: pa.Table) -> pa.Table:
    """The rows, with the columns that keep fewer bits than a float32 rounded away from zero to that many bits."""
    for index, field in enumerate(rows.schema):
        bits = bits_of(field)
        if bits is not None:
            kept = [_keep(chunk, bits) for chunk in rows[field.name].chunks]
            rows = rows.set_column(index, field, pa.chunked_array(kept, pa.float32()))
    return rows


def _keep(values: pa.FloatArray, bits: int) -> pa.FloatArray:
    dropped = pa.scalar(FLOAT32_BITS - bits, pa.uint32())
    carry = pa.scalar(2 ** (FLOAT32_BITS - bits) - 1, pa.uint32())
    raised = pc.add(values.view(pa.uint32()), carry)
    return pc.shift_left(pc.shift_right(raised, dropped), dropped).view(pa.float32())


def _leaf(field: pa.Field) -> str:
    """A column's name in Parquet. The elements of a list are a column inside it."""
    return f"{field.name}.list.element" if pa.types.is_list(field.type) else field.name
