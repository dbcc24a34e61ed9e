"""Ids under which publishers read queries: their own may name other publishers' sources, or customers."""

import hashlib

from tribute_storage.lake import Lake
from tribute_storage.log import TableLog
from tribute_storage.querying.literals import literal

PREFIX, DIGITS = "q-", 20


class Pseudonyms:
    """Pseudonyms of the queries of a lake.

    They are hashes with a key that never leaves the lake: the random id that Delta gave the table of queries when
    it was made. So a query has the same one in every published file, and on every page.
    """

    def __init__(self, lake: Lake) -> None:
        snapshot = TableLog(lake.location, "queries").snapshot()
        self._key = "" if snapshot is None else str(snapshot.metadata().id)

    def of(self, query_id: str) -> str:
        """The pseudonym of a query."""
        return PREFIX + hashlib.sha256((self._key + query_id).encode()).hexdigest()[:DIGITS]

    def sql(self, column: str) -> str:
        """SQL for the pseudonyms of a column of ids."""
        return f"{literal(PREFIX)} || left(sha256({literal(self._key)} || {column}), {DIGITS})"
