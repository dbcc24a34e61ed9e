"""Whether a request takes longer after many recorded uses, and how many files these make."""

import statistics
from itertools import product
from pathlib import Path
from typing import Any

from tests.benchmarks.serving.load import Offer, offered
from tests.benchmarks.serving.projects import QUICK, texts
from tests.benchmarks.serving.session import Both, bodies, both
from tribute_storage import Lake

USES = 2_000 if QUICK else 100_000
TABLES = ("queries", "influence", "predicted")
QUERIES, FILLING, FILLERS = 16, 256, 4
"""Queries of a timed request and of one that only fills the lake; clients that fill it."""
TURNS, SECONDS = 3, 2.0 if QUICK else 6.0


def flatness() -> dict[str, Any]:
    """The time of a request after many uses over that at the start; the same of the bare application; files."""
    with both(10, True) as served:
        served.begin_month()
        before, bare_before = _timed(served)
        recorded = served.outbox()["flushed"]
        filling = bodies(texts(8 * FILLING, long=False), FILLING)
        requests = -(-USES // FILLING)
        offered(Offer(served.attributions, filling, FILLERS, 0.0, 0.0, requests))
        served.rest()
        uses = served.outbox()["flushed"] - recorded
        after, bare_after = _timed(served)
        files = _files(served, served.outbox()["flushed"])
    return {
        "flatness": after / before,
        "flatness_of_bare": bare_after / bare_before,
        "flatness_beside_bare": after / before / (bare_after / bare_before),
        "flatness_uses": uses,
        "request_ms": {"before": before, "after": after, "bare_before": bare_before, "bare_after": bare_after},
        **files,
    }


def _timed(served: Both) -> list[float]:
    """Median time of a request of one client, ms; of tribute and of the bare application, in turns."""
    sent, found = bodies(texts(512), QUERIES), dict[str, list[float]]({served.attributions: [], served.bare: []})
    for _, url in product(range(TURNS), found):
        found[url] += offered(Offer(url, sent, 1, 1.0, SECONDS)).latency_ms
        served.rest()
    return [statistics.median(each) for each in found.values()]


def _files(served: Both, uses: float) -> dict[str, float]:
    """Files of the tables that live uses go to, per 100,000 uses: current ones, and all on disk."""
    lake, root = Lake(served.project.lake_root), Path(served.project.lake_root)
    per = 100_000 / uses
    current = sum(len(lake.files(table)) for table in TABLES)
    on_disk = sum(len(list((root / table).rglob("*.parquet"))) for table in TABLES)
    return {"files_per_100k_uses": per * current, "files_on_disk_per_100k_uses": per * on_disk}
