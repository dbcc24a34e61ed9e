"""Usage events: many processes append batches at once, and an event sent twice counts once.

A batch is named after its content, so a retry is the same transaction, in any process. Several batches may hold
the same use of the model: `usage_events` keeps all of them, and the view `usage` shows every query once, by a rule
that does not depend on the order of arrival.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from tribute_storage.lake import Lake
from tribute_storage.querying.literals import literals
from tribute_storage.schemas import schema_of
from tribute_storage.upkeep.examination import explained

NO_EVENTS = "SELECT '' AS query_id, '' AS content_sha256, '' AS period WHERE false"
BATCH = 10_000
"""Most events in one commit."""
PRECEDENCE = ("time", "content_sha256", "customer_id", "weight", "inclusion_probability", "content_json")
"""The order of a query's events, empty values last. The first one counts, as in the view `usage`."""
SEEN = """
WITH seen AS (
    SELECT query_id, content_sha256, period, false AS known FROM incoming
    UNION ALL SELECT query_id, content_sha256, period, true FROM usage_events SEMI JOIN incoming USING (query_id)
)
SELECT query_id, bool_or(known) AS known, count(DISTINCT content_sha256) > 1 AS conflicting,
    count(DISTINCT period) > 1 AS in_two_months FROM seen
GROUP BY query_id HAVING known OR conflicting OR in_two_months
"""


@dataclass(frozen=True)
class Ingested:
    """The outcome of an ingestion, compared with the lake just before it.

    Attributes:
        events: number of events received.
        duplicates: events of a query that is in the lake already, or that another event repeats.
        conflicts: ids of queries with more than one content; the earliest event counts.
        periods: new queries by month.
        late: new queries of a month before the newest in the lake.
        batches: commits made now; the other batches had been committed before.
        in_two_months: ids of queries with events in more than one month; the earliest event counts.
    """

    events: int = 0
    duplicates: int = 0
    conflicts: tuple[str, ...] = ()
    periods: Mapping[str, int] = field(default_factory=dict)
    late: int = 0
    batches: int = 0
    in_two_months: tuple[str, ...] = ()

    def __add__(self, other: "Ingested") -> "Ingested":
        return Ingested(
            self.events + other.events,
            self.duplicates + other.duplicates,
            tuple(sorted({*self.conflicts, *other.conflicts})),
            dict(sorted((Counter(self.periods) + Counter(other.periods)).items())),
            self.late + other.late,
            self.batches + other.batches,
            tuple(sorted({*self.in_two_months, *other.in_two_months})),
        )


def ingest(
    lake: Lake,
    events: pa.Table,
    batch: int = BATCH,
    advanced: Callable[[int, int], None] | None = None,
) -> Ingested:
    """Append usage events to the lake, in commits of at most `batch`; safe in many processes at once.

    Sent again, wholly or in part, in any order and by anyone, they change nothing in the view `usage`.

    Args:
        events: the columns of `usage_events` without `run_id` and `period`, in any order.
        advanced: called with the number of committed queries and their total.

    Raises:
        LakeError: the columns do not fit the table, or a commit did not get through; send them all again.
    """
    rows = _with_period(_each_once(events))
    seen = _in_lake(lake, events)
    batches = 0
    for start in range(0, rows.num_rows, batch):
        part = rows.slice(start, batch)
        batches += lake.append("usage_events", *_named(part))
        if advanced is not None:
            advanced(start + part.num_rows, rows.num_rows)
    pairs = zip(rows["query_id"].to_pylist(), rows["period"].to_pylist(), strict=True)
    new = Counter(period for query_id, period in pairs if query_id not in seen.known)
    return Ingested(
        events=events.num_rows,
        duplicates=events.num_rows - new.total(),
        conflicts=seen.conflicts,
        in_two_months=seen.in_two_months,
        periods=dict(sorted(new.items())),
        late=sum(count for period, count in new.items() if period < seen.newest),
        batches=batches,
    )


def _each_once(events: pa.Table) -> pa.Table:
    """The event of each query that counts, in the order of the ids."""
    keys = [(name, "ascending") for name in ("query_id", *PRECEDENCE)]
    ordered = events.take(pc.sort_indices(events, sort_keys=keys)).combine_chunks()
    ids = ordered["query_id"].combine_chunks()
    if not len(ids):
        return ordered
    another = pc.not_equal(ids.slice(1), ids.slice(0, len(ids) - 1))
    return ordered.filter(pa.concat_arrays([pa.array([True]), another]))


def _with_period(events: pa.Table) -> pa.Table:
    """The events with the month of their own time, in the order of the table."""
    periods = [f"{moment.year:04d}-{moment.month:02d}" for moment in events["time"].to_pylist()]
    rows = events.append_column("period", pa.array(periods, pa.string()))
    return rows.sort_by([("period", "ascending"), ("query_id", "ascending")])


def _named(rows: pa.Table) -> tuple[str, pa.Table]:
    """A batch's run id, the hash of its content (independent of the order of events), and its rows."""
    moments = rows["time"].cast(pa.int64()).to_pylist()
    content = [moments, *(rows[name].to_pylist() for name in ("query_id", *PRECEDENCE[1:]))]
    run_id = f"usage-{hashlib.sha256(json.dumps(content).encode()).hexdigest()[:32]}"
    named = rows.append_column("run_id", pa.array([run_id] * rows.num_rows, pa.string()))
    return run_id, named.select(schema_of("usage_events").names)


class _Seen(NamedTuple):
    """Ids of events: known to the lake, with more than one content, in two months; and the lake's newest month."""

    known: set[str]
    conflicts: tuple[str, ...]
    in_two_months: tuple[str, ...]
    newest: str


def _in_lake(lake: Lake, events: pa.Table) -> _Seen:
    """What the lake knows of the events.

    Of one table only: a connection with the views of all of them takes longer than a commit.
    """
    files = lake.files("usage_events")
    table = f"FROM read_parquet({literals(files)}, hive_partitioning = false)" if files else NO_EVENTS
    with explained(lake.root, ["usage_events"]), duckdb.connect() as connection:
        lake.location.open_to(connection)
        named = events.select(["query_id", "content_sha256"])
        connection.register("incoming", named.append_column("period", pc.strftime(events["time"], "%Y-%m")))
        connection.execute(f"CREATE VIEW usage_events AS {table}")
        found = connection.execute(SEEN).fetchall()
        [(newest,)] = connection.execute("SELECT coalesce(max(period), '') FROM usage_events").fetchall()
    return _Seen(
        {query_id for query_id, is_known, _, _ in found if is_known},
        tuple(sorted(query_id for query_id, _, conflicting, _ in found if conflicting)),
        tuple(sorted(query_id for query_id, _, _, in_two_months in found if in_two_months)),
        newest,
    )
