"""The lake's content, for comparing runs bit for bit."""

import hashlib
from pathlib import Path

from tribute_storage import SCHEMAS, open_tables


def fingerprints(root: Path) -> dict[str, tuple[int, str]]:
    """Row count and hash of every table, whatever the order of rows and the names of files.

    `repr` of a float is exact: two rows hash alike only if they are the same bits.
    """
    found = {}
    with open_tables(root) as connection:
        for table in SCHEMAS:
            rows = connection.sql(f"select * from {table} order by all").to_arrow_table().to_pylist()
            found[table] = (len(rows), hashlib.sha256(repr(rows).encode()).hexdigest())
    return found
