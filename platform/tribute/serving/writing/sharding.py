"""The outboxes of a project as one: a use goes to one by the hash of its id."""

import asyncio
import hashlib
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import pyarrow as pa

from tribute.serving.writing.writer import WriterState, drain
from tribute_storage.outbox import KeyedReply, Recorded, Submission, with_periods


class WriterPart(Protocol):
    """What the engine asks of a writer; see `Writer`."""

    async def record(self, submission: Submission) -> Recorded: ...

    async def check(self, uses: pa.Table) -> None: ...

    async def reply(self, key: str, body_sha256: str) -> bytes | None: ...

    async def use(self, query_id: str) -> pa.Table | None: ...

    async def content(self, query_id: str) -> str | None: ...

    async def probe(self) -> None: ...

    async def flush(self) -> int: ...

    async def state(self) -> WriterState: ...


class Outboxes:
    """One or more outboxes."""

    def __init__(self, writers: Sequence[WriterPart]) -> None:
        self._writers = list(writers)

    async def flush(self) -> int:
        """Bring every use that waits to the lake; their number."""
        return sum(await asyncio.gather(*(writer.flush() for writer in self._writers)))

    async def drain(self) -> None:
        """Bring every use that was recorded before to the lake; see `drain`."""
        await drain(self._writers)

    async def probe(self) -> None:
        """Check that all of them, and the lake, can be written and reached; raises LakeError if not."""
        await asyncio.gather(*(writer.probe() for writer in self._writers))

    async def states(self) -> list[WriterState]:
        """All of them in figures."""
        return list(await asyncio.gather(*(writer.state() for writer in self._writers)))

    async def record(self, uses: pa.Table, reply: KeyedReply | None) -> Recorded:
        """Record the uses of a request; of several outboxes, each takes its own.

        Raises:
            ContentConflict: an id stands for another use; nothing was recorded, unless others came between.
            LakeUnavailable: the disk refuses.
        """
        if len(self._writers) == 1:
            return await self._writers[0].record(Submission(uses, reply))
        if reply is not None:
            given = await self.of(reply.key).reply(reply.key, reply.body_sha256)
            if given is not None:
                return Recorded(0, given)
        shard_Q = np.array([self._number(query_id) for query_id in uses["query_id"].to_pylist()])
        parts = {
            self._writers[number]: uses.filter(pa.array(shard_Q == number))
            for number in np.unique(shard_Q).tolist()
        }
        # A conflict in one outbox keeps the whole request out of the others.
        await asyncio.gather(*(writer.check(part) for writer, part in parts.items()))
        found = await asyncio.gather(*(writer.record(Submission(part)) for writer, part in parts.items()))
        new = sum(recorded.new for recorded in found)
        periods = {name: month for recorded in found for name, month in recorded.periods.items()}
        if reply is None:
            return Recorded(new, None, periods)
        whole = reply._replace(head=with_periods(reply.head, periods), recorded=new)
        return await self.of(reply.key).record(Submission(uses.slice(0, 0), whole))

    def of(self, key: str) -> WriterPart:
        """The outbox of a query id, or of an idempotency key."""
        return self._writers[self._number(key)]

    def _number(self, key: str) -> int:
        return int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big") % len(self._writers)
