"""Uses of the model for tests of the outbox."""

import hashlib
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from tribute_storage.outbox import USE, KeyedReply, Outbox, Submission

RUN = "simulate-000000000001"
EXACT = np.arange(6, dtype=np.float32).tobytes()


class Use(NamedTuple):
    """A use: only what tests vary."""

    query_id: str
    content: str = "content"
    period: str = "2026-10"
    dated: bool = True
    weight: float = 1.0
    unread: bool = False

    def row(self) -> dict[str, Any]:
        """The row of `USE`."""
        return {
            "query_id": self.query_id,
            "simulate_run": RUN,
            "period": self.period,
            "dated": self.dated,
            "time": datetime.fromisoformat(f"{self.period}-05").replace(tzinfo=UTC),
            "customer_id": None,
            "weight": self.weight,
            "readout_probability": 0.5 if self.unread else 1.0,
            "sampled": True,
            "similarity": 0.5,
            "unlike_corpus": False,
            "measurement_nats": -1.0,
            "content_sha256": hashlib.sha256(self.content.encode()).hexdigest(),
            "influence_nats": None if self.unread else EXACT,
            "error_nats": None,
            "head_id": "head-1" if self.unread else None,
            "coordinates": EXACT if self.unread else None,
            "content_json": self.content if self.unread else None,
        }


def submission(uses: Sequence[Use], reply: KeyedReply | None = None) -> Submission:
    """Uses of one request."""
    return Submission(pa.Table.from_pylist([use.row() for use in uses], USE), reply)


def period_of(outbox: Outbox, query_id: str) -> str | None:
    """The month that a recorded use belongs to, in the lake or not yet; None: it was never recorded here."""
    with closing(sqlite3.connect(outbox.path)) as database:
        row = database.execute("SELECT period FROM uses WHERE query_id = ?", [query_id]).fetchone()
    return row[0] if row else None
