"""What comes in and goes out of an outbox: uses as Arrow tables, and replies that can be given again."""

import json
from collections.abc import Mapping
from typing import NamedTuple

import pyarrow as pa

from tribute_storage.errors import LakeError

USE = pa.schema(
    [
        pa.field("query_id", pa.string(), nullable=False),
        pa.field("simulate_run", pa.string(), nullable=False),  # what it was attributed by
        pa.field("period", pa.string(), nullable=False),
        pa.field("dated", pa.bool_(), nullable=False),  # whether the caller gave the time
        pa.field("time", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("customer_id", pa.string()),
        pa.field("weight", pa.float64(), nullable=False),
        pa.field("readout_probability", pa.float64(), nullable=False),
        pa.field("sampled", pa.bool_(), nullable=False),  # whether it is read out exactly, now or later
        pa.field("similarity", pa.float64(), nullable=False),
        pa.field("unlike_corpus", pa.bool_(), nullable=False),
        pa.field("measurement_nats", pa.float64(), nullable=False),
        pa.field("content_sha256", pa.string(), nullable=False),
        pa.field("influence_nats", pa.binary()),  # float32 [replicates, sources]; empty: not read out exactly
        pa.field("error_nats", pa.binary()),  # float32 [sources]; empty: exact
        pa.field("head_id", pa.string()),  # of the distilled read-out; empty: no head predicted it
        pa.field("coordinates", pa.binary()),  # float32, as `readout.Head.coordinates` gives them
        pa.field("content_json", pa.string()),  # kept until a sampled use is read out, or as long as configured
    ]
)
"""A use as it waits in the outbox. Arrays are bytes of numbers in the order of the machine's memory."""


class KeyedReply(NamedTuple):
    """What was answered under an idempotency key, to be answered again.

    Attributes:
        key: the caller's key.
        body_sha256: of the request that it came with.
        head: the answer up to the number of recorded uses, which only the outbox knows.
        recorded: that number, where other outboxes recorded the uses; None: of the submission.
    """

    key: str
    body_sha256: str
    head: bytes
    recorded: int | None = None


class Submission(NamedTuple):
    """The uses of one request, recorded all or none; and its reply, where it has an idempotency key."""

    uses: pa.Table
    reply: KeyedReply | None = None


class Recorded(NamedTuple):
    """What became of a submission.

    Attributes:
        new: its uses that were not recorded before.
        body: the reply as it was first given under the same key.
        periods: months of uses without a time that were recorded before in another month than this one.
    """

    new: int
    body: bytes | None = None
    periods: Mapping[str, str] = {}


class ContentConflict(LakeError):
    """An id was used before, for another use or another request. Nothing of the submission was recorded."""


def reply_body(head: bytes, recorded: int) -> bytes:
    """The whole answer, a JSON object: `head` lacks its last member and the closing brace."""
    return head + b',"recorded":%d}' % recorded


def with_periods(head: bytes, periods: Mapping[str, str]) -> bytes:
    """The head of an answer, with the months that some of its queries were recorded in."""
    if not periods:
        return head
    answer = json.loads(head + b"}")
    for query in answer["queries"]:
        query["period"] = periods.get(query["query_id"], query["period"])
    return json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode()[:-1]


def to_bytes(uses: pa.Table) -> bytes:
    """A table as an Arrow stream, which names its own columns."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, uses.schema) as stream:
        stream.write_table(uses)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def from_bytes(content: bytes) -> pa.Table:
    """The table of an Arrow stream."""
    with pa.ipc.open_stream(content) as stream:
        return stream.read_all()
