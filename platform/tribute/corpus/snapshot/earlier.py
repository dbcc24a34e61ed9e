"""Snapshots of earlier releases, with Parquet files for each source; they are read into memory."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tribute.corpus.snapshot.manifest import Manifest
from tribute.corpus.sources import Columns


def earlier_columns(manifest: Manifest, folder: Path, part: str) -> tuple[dict[str, int], Columns]:
    """The rows of every source, and the columns of all, in the order of their ids."""
    by_source = {
        source.source_id: _columns(folder / f"{source.file}.{part}.parquet")
        for source in sorted(manifest.sources, key=lambda each: each.source_id)
    }
    counts = {source_id: len(next(iter(columns.values()), ())) for source_id, columns in by_source.items()}
    names = sorted(next(iter(by_source.values())))
    return counts, {name: np.concatenate([each[name] for each in by_source.values()]) for name in names}


def _columns(path: Path) -> Columns:
    table = pq.read_table(path, partitioning=None)
    return {name: _to_array(table[name].combine_chunks()) for name in table.column_names}


def _to_array(column: pa.Array) -> np.ndarray:
    if not pa.types.is_fixed_size_list(column.type):
        return column.to_numpy(zero_copy_only=False)
    flat = column.flatten().to_numpy(zero_copy_only=False)
    return flat.reshape(len(column), column.type.list_size)
