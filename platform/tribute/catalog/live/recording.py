"""Uses of the model from the service's outbox to the lake, in one run for each month of a batch.

Legend: Q uses, R replicates, S sources.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tribute.catalog.queries import attribution_parts
from tribute.catalog.runs import Identity, lineage, settings_parts
from tribute.config import Project
from tribute.readout import LiveUses, SourceHead, influence_rows, live_totals
from tribute.valuation import query_groups
from tribute_storage import SCHEMAS, Basis, Lake, LakeConflict, LakeError, open_tables

NAMED_BY = ("query_id", "content_sha256", "time", "customer_id", "weight", "readout_probability", "head_id")
"""The columns that the run id of recorded uses follows from."""


class RecordedUses(NamedTuple):
    """Uses that are in the lake now, by what became of them.

    Attributes:
        new: recorded by this call, or by one that was interrupted.
        repeated: recorded by another service before, with the same content: they count once, in the month of that
            one.
        conflicting: ids that another service recorded with other content, or in another month than the caller
            says; that one counts.
    """

    new: int = 0
    repeated: int = 0
    conflicting: tuple[str, ...] = ()

    def __add__(self, other: "RecordedUses") -> "RecordedUses":  # type: ignore[override]
        return RecordedUses(
            self.new + other.new, self.repeated + other.repeated, self.conflicting + other.conflicting
        )


HeadOf = Callable[[str], SourceHead]


class RecordedWith(NamedTuple):
    """What uses are recorded with: sources and replicates of the simulation, and the heads that predicted."""

    source_ids: Sequence[str]
    replicates: int
    head_of: HeadOf


def record_uses(lake: Lake, project: Project, recording: RecordedWith, uses: pa.Table) -> RecordedUses:
    """Commit uses to `influence`, `predicted`, then `queries`: a reader counts a use as a whole, or not at all.

    The same uses make the same runs, so that a call that was interrupted can be made again.

    Args:
        uses: the columns of `tribute_storage.outbox.USE`.

    Raises:
        LakeError: another simulation than that of the settings attributed a use; or the lake cannot be written.
    """
    others = {*uses["simulate_run"].to_pylist()} - {lineage(project).simulate_run}
    if others:
        raise LakeError(
            f"These uses were attributed by {min(others)}, and the settings are those of "
            f"{lineage(project).simulate_run}. Put the settings back, and start the service again"
        )
    done = RecordedUses()
    for period in sorted({*uses["period"].to_pylist()}):
        done += _record_month(lake, project, recording, period, _of_month(uses, period))
    return done


def _record_month(
    lake: Lake, project: Project, recording: RecordedWith, period: str, uses: pa.Table
) -> RecordedUses:
    while True:  # another service may record one of them meanwhile
        ids = uses["query_id"].to_pylist()
        basis = Basis(
            lake.version("queries"),
            lambda ids=ids: (pc.field("origin") == "service") & pc.field("query_id").isin(ids),  # type: ignore[misc]
        )
        run_id = _run_id(project, period, uses)
        if lake.committed("queries", run_id):
            return RecordedUses(new=len(ids))
        known = _known(lake, project, ids)
        fresh = uses.filter(pa.array([query_id not in known for query_id in ids]))
        conflicting = _conflicting(uses, known)
        repeated = len(known) - len(conflicting)
        if not fresh.num_rows:
            return RecordedUses(0, repeated, conflicting)
        run_id = _run_id(project, period, fresh)
        try:
            lake.require_unchanged("queries", run_id, basis)
            _commit_influence(lake, run_id, recording, fresh)
            _commit_predicted(lake, run_id, recording, fresh)
            lake.append("queries", run_id, _query_rows(run_id, fresh), basis=basis)
        except LakeConflict:
            continue
        return RecordedUses(fresh.num_rows, repeated, conflicting)


def _of_month(uses: pa.Table, period: str) -> pa.Table:
    return uses.filter(pc.equal(uses["period"], period)).sort_by("query_id").combine_chunks()


def _run_id(project: Project, period: str, uses: pa.Table) -> str:
    columns = [uses[name].cast(pa.int64()) if name == "time" else uses[name] for name in NAMED_BY]
    content = json.dumps([column.to_pylist() for column in columns])
    parts = attribution_parts(project, hashlib.sha256(content.encode()).hexdigest(), period, "service")
    return Identity.of("attribute", parts, settings_parts("readout", project.readout)).run_id


class _Known(NamedTuple):
    """A use that is in the lake."""

    content_sha256: str
    period: str


def _known(lake: Lake, project: Project, query_ids: Sequence[str]) -> dict[str, _Known]:
    """The uses that a service has recorded, in any month.

    A use without a time gets that of its arrival: sent again after midnight to another service, it has another
    month. So the ids of all months are looked through, which takes about 0.1 s for every million uses recorded.
    """
    with open_tables(lake.root, "queries") as connection:
        rows = connection.execute(
            "select query_id, content_sha256, period from queries "
            "semi join (select unnest($1::varchar[]) as query_id) using (query_id) "
            "where simulate_run = $2 and origin = 'service'",
            [list(query_ids), lineage(project).simulate_run],
        ).fetchall()
    return {query_id: _Known(*found) for query_id, *found in rows}


def _conflicting(uses: pa.Table, known: Mapping[str, _Known]) -> tuple[str, ...]:
    """Ids of uses, of one month, that stand for another use in the lake."""
    columns = [uses[name].to_pylist() for name in ("query_id", "content_sha256", "period", "dated")]
    return tuple(
        query_id
        for query_id, sha256, period, dated in zip(*columns, strict=True)
        if (found := known.get(query_id))
        and (found.content_sha256 != sha256 or (dated and found.period != period))
    )


def _commit_predicted(lake: Lake, run_id: str, recording: RecordedWith, uses: pa.Table) -> None:
    """What the heads' predictions add to the sums over the uses that were drawn."""
    chosen = uses.filter(pc.and_(uses["head_id"].is_valid(), pc.less(uses["readout_probability"], 1.0)))
    if not chosen.num_rows:
        return
    parts = []
    for head_id in sorted({*chosen["head_id"].to_pylist()}):
        of_head = chosen.filter(pc.equal(chosen["head_id"], head_id))
        parts.append(
            LiveUses(
                recording.head_of(head_id),
                of_head["weight"].to_numpy(),
                query_groups(of_head["query_id"].to_pylist()),
                _numbers(of_head["coordinates"]).reshape(of_head.num_rows, -1),
                of_head["sampled"].to_numpy(),
                of_head["readout_probability"].to_numpy(),
            )
        )
    lake.append("predicted", run_id, live_totals(parts).rows(run_id, recording.source_ids))


def _commit_influence(lake: Lake, run_id: str, recording: RecordedWith, uses: pa.Table) -> None:
    read = uses.filter(uses["influence_nats"].is_valid())
    if not read.num_rows:
        return
    source_ids, replicates = recording.source_ids, recording.replicates
    shape = (read.num_rows, replicates, len(source_ids))
    influence_QRS = _numbers(read["influence_nats"]).reshape(shape)
    error_QS = np.zeros((read.num_rows, len(source_ids)), np.float32)
    inexact = read["error_nats"].is_valid().to_numpy()
    if inexact.any():
        error_QS[inexact] = _numbers(read["error_nats"].drop_null()).reshape(-1, len(source_ids))
    influence_RQS = influence_QRS.transpose(1, 0, 2)
    rows = influence_rows(
        run_id,
        source_ids,
        read["query_id"].to_pylist(),
        influence_RQS,
        np.broadcast_to(error_QS, influence_RQS.shape),
    )
    lake.append("influence", run_id, rows)


def _query_rows(run_id: str, uses: pa.Table) -> pa.Table:
    count = uses.num_rows
    same: dict[str, object] = {
        "run_id": run_id,
        "origin": "service",
        "inclusion_probability": 1.0,
    }
    schema = SCHEMAS["queries"]
    columns = [
        pa.array([same[field.name]] * count, field.type) if field.name in same else uses[field.name]
        for field in schema
    ]
    return pa.table(columns, schema=schema)


def _numbers(column: pa.ChunkedArray) -> NDArray[np.float32]:
    """The float32 numbers of binary cells, one after the other."""
    cells = column.combine_chunks()
    if isinstance(cells, pa.ChunkedArray):
        cells = pa.concat_arrays(cells.chunks)
    offsets = np.frombuffer(cells.buffers()[1], np.int32)[cells.offset : cells.offset + len(cells) + 1]
    return np.frombuffer(cells.buffers()[2], np.uint8)[offsets[0] : offsets[-1]].view(np.float32)
