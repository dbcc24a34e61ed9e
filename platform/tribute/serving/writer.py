"""Makes uses durable: many requests share one commit to the outbox, which goes to the lake batch by batch."""

import asyncio
import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, Protocol

import pyarrow as pa

from tribute.catalog import (
    RecordedUses,
    RecordedWith,
    corpus_tokens,
    lineage,
    record_uses,
    recorded_trainings,
    simulated_responses,
)
from tribute.config import Project
from tribute.readout import SourceHead
from tribute.serving.heads import Heads, served_design
from tribute.serving.upkeep import keep_small_files_few
from tribute_storage import Lake, LakeError, claim
from tribute_storage.outbox import ContentConflict, Outbox, Recorded, Submission
from tribute_storage.outbox.readings import Reading

BATCH_BYTES = 2**26
"""Most bytes of uses that one batch of the lake is made from, so that its rows fit the memory."""
TICK_S = 0.5
_log = logging.getLogger(__name__)


class WriterState(NamedTuple):
    """An outbox in figures.

    Attributes:
        waiting: uses that are not in the lake yet.
        unread: of these, uses that are still to be read out exactly.
        flushed: uses brought to the lake since the start.
        flushes: batches brought to the lake since the start.
        failure: why the last batch did not get through; empty: it did.
        conflicting: ids that another service had recorded with other content, since the start.
    """

    waiting: int
    unread: int
    flushed: int
    flushes: int
    failure: str
    conflicting: int


class Writer:
    """One outbox, its group commit and its flusher. Independent of HTTP and Ray, within one event loop.

    Args:
        shard: the number of the outbox, from 0.

    Raises:
        LakeError: the outbox or the lake cannot be used.
    """

    def __init__(self, project: Project, shard: int = 0) -> None:
        self._project, self._lake, self._settings = project, Lake(project.lake_root), project.serving
        claim(self._lake, project.name)
        self._outbox = Outbox(outbox_file(project, shard), 86_400 * project.serving.keep_content_days)
        self._recording = _recording(project)
        self._waiting = list[tuple[Submission, asyncio.Future[Recorded]]]()
        self._flushing, self._committing = asyncio.Lock(), None
        self._last_flush, self._failure = time.monotonic(), ""
        self._done, self._flushes = RecordedUses(), 0

    _committing: "asyncio.Task[None] | None"

    async def record(self, submission: Submission) -> Recorded:
        """Record a request's uses; they are on disk when this returns.

        Raises:
            ContentConflict: an id stands for another use; nothing of the request was recorded.
            LakeUnavailable: the disk refuses; nothing was recorded.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Recorded] = loop.create_future()
        self._waiting.append((submission, future))
        if self._committing is None or self._committing.done():
            self._committing = loop.create_task(self._commit())
        return await future

    async def reply(self, key: str, body_sha256: str) -> bytes | None:
        """See `Outbox.reply`."""
        return await asyncio.to_thread(self._outbox.reply, key, body_sha256)

    async def use(self, query_id: str) -> pa.Table | None:
        """See `Outbox.use`."""
        return await asyncio.to_thread(self._outbox.use, query_id)

    async def content(self, query_id: str) -> str | None:
        """See `Outbox.content`."""
        return await asyncio.to_thread(self._outbox.content, query_id)

    async def lease(self, most: int) -> list[tuple[str, str]]:
        """See `Readings.lease`."""
        return await asyncio.to_thread(self._outbox.readings.lease, most)

    async def complete(self, readings: Sequence[Reading]) -> None:
        """See `Readings.complete`."""
        await asyncio.to_thread(self._outbox.readings.complete, readings)

    async def counted(self, period: str) -> float:
        """See `Outbox.counted`."""
        return await asyncio.to_thread(self._outbox.counted, period)

    async def state(self) -> WriterState:
        """The outbox in figures."""
        waiting, unread = await asyncio.to_thread(
            lambda: (self._outbox.batches.waiting(), self._outbox.readings.waiting())
        )
        done = self._done
        return WriterState(waiting, unread, done.new, self._flushes, self._failure, len(done.conflicting))

    async def flush(self) -> int:
        """Bring everything that waits to the lake, except for uses that are still to be read out; their number.

        Raises:
            LakeError: the lake cannot be written; everything stays in the outbox.
        """
        before = self._done.new
        async with self._flushing:
            await asyncio.to_thread(self._flush)
        return self._done.new - before

    async def keep_flushing(self) -> None:
        """Bring uses to the lake every `serving.flush_every_s`, or as soon as `serving.flush_uses` wait."""
        with suppress(asyncio.CancelledError):
            while True:
                await self._try_flush()
                self._last_flush = time.monotonic()
                while time.monotonic() - self._last_flush < self._settings.flush_every_s:
                    await asyncio.sleep(min(TICK_S, self._settings.flush_every_s))
                    if await asyncio.to_thread(self._outbox.batches.waiting) >= self._settings.flush_uses:
                        break

    async def close(self) -> None:
        """Bring what waits to the lake, if that is to be had, and close the outbox."""
        await self._try_flush()
        await asyncio.to_thread(self._outbox.close)

    async def _try_flush(self) -> None:
        try:
            await self.flush()
        except LakeError as error:
            _log.warning("Uses stay in the outbox: %s", error)

    async def _commit(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            try:
                results = await asyncio.to_thread(self._outbox.record, [submission for submission, _ in batch])
            except Exception as error:
                for _, future in batch:
                    if not future.done():
                        future.set_exception(error)
                continue
            for (_, future), result in zip(batch, results, strict=True):
                if future.done():
                    continue
                if isinstance(result, ContentConflict):
                    future.set_exception(result)
                else:
                    future.set_result(result)

    def _flush(self) -> None:
        try:
            while sealed := self._outbox.batches.seal(self._settings.flush_uses, BATCH_BYTES):
                found = record_uses(self._lake, self._project, self._recording, sealed.uses)
                self._outbox.batches.finish(sealed.number)
                self._done, self._flushes = self._done + found, self._flushes + 1
                if found.conflicting:
                    _log.warning(
                        "%s uses have ids that another service recorded with other content, such as %r; the first "
                        "one counts",
                        len(found.conflicting),
                        found.conflicting[0][:80],
                    )
                keep_small_files_few(self._lake)
            self._outbox.forget()
            self._failure = ""
        except LakeError as error:
            self._failure = str(error)
            raise


class Draining(Protocol):
    """A writer, here or elsewhere."""

    async def flush(self) -> int: ...

    async def state(self) -> WriterState: ...


async def drain(writers: Sequence[Draining]) -> None:
    """Bring every use that was recorded before to the lake, also those that wait for their exact read-out.

    Raises:
        LakeError: the lake cannot be written.
    """
    for writer in writers:
        await writer.flush()
        while (await writer.state()).unread:
            await asyncio.sleep(TICK_S)
        await writer.flush()


def _recording(project: Project) -> RecordedWith:
    source_ids, tokens_S = corpus_tokens(project)
    heads = Heads(project)

    @lru_cache(maxsize=8)
    def head_of(head_id: str) -> SourceHead:
        responses = simulated_responses(project, lineage(project).simulate_run)
        return heads.by_source(head_id, served_design(project, responses, tokens_S))

    return RecordedWith(source_ids, len(recorded_trainings(project)), head_of)


def outbox_file(project: Project, shard: int) -> Path:
    """The file of an outbox."""
    return project.workdir / "service" / f"outbox-{shard}.sqlite"
