"""The lake's content, for comparing runs bit for bit."""

import hashlib
from pathlib import Path

import pyarrow as pa

from tribute_storage import SCHEMAS, connect


def fingerprints(root: Path) -> dict[str, tuple[int, str]]:
    """Row count and hash of every table, whatever the order of rows and the names of files."""
    found = {}
    with connect(root) as connection:
        for table in SCHEMAS:
            rows = connection.execute(f"select * from {table} order by all").to_arrow_table()
            sink = pa.BufferOutputStream()
            with pa.ipc.new_stream(sink, rows.schema.remove_metadata()) as writer:
                for batch in rows.combine_chunks().replace_schema_metadata().to_batches():
                    writer.write_batch(batch)
            found[table] = (rows.num_rows, hashlib.sha256(sink.getvalue().to_pybytes()).hexdigest())
    return found
