"""The moments of commits. They follow one another as the commits do, whatever the clock of a machine says."""

import json
import time

from tribute_storage.integrity.commits import FOLDER
from tribute_storage.location import Location

TOGETHER = {"statements": "policies", "policies": "statements"}
"""Tables whose moments are compared with those of another one: a policy holds for the statements after it."""


def now_ms() -> int:
    """The clock of this machine: milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def last_moment(location: Location, table: str, version: int) -> int:
    """The moment of the newest run or compaction up to a version of a table; 0: its log has none."""
    for number in range(version, -1, -1):
        try:
            lines = location.read(f"{table}/{FOLDER}/{number:020}.json").splitlines()
        except FileNotFoundError:
            return 0
        entries = [json.loads(line) for line in lines if b'"txn"' in line]
        moments = [int(entry["txn"]["version"]) for entry in entries if "txn" in entry]
        if moments:
            return max(moments)
    return 0
