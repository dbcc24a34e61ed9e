"""Makes uses durable: many requests share one commit to the outbox, which goes to the lake batch by batch."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol, TypeVar

import pyarrow as pa

from tribute.catalog import lineage
from tribute.config import Project
from tribute.errors import BusyError, MachineError, TributeError
from tribute.serving.writing.flushing import Flusher, WriterState
from tribute_storage import Lake, LakeError, claim
from tribute_storage.outbox import Outbox, Recorded, Submission, uses_waiting
from tribute_storage.outbox.readings import Reading

TICK_S, DRAIN_PATIENCE_S = 0.5, 600.0
DISK_THREADS = 4
Result = TypeVar("Result")
_log = logging.getLogger(__name__)


class Writer:
    """One outbox, its group commit and its flusher. Independent of HTTP and Ray, within one event loop.

    Args:
        shard: the number of the outbox, from 0.

    Raises:
        LakeError: the outbox or the lake cannot be used; or uses of other settings wait in an outbox.
    """

    def __init__(self, project: Project, shard: int = 0) -> None:
        lake, self._settings = Lake(project.lake_root), project.serving
        claim(lake, project.name)
        require_no_other_outbox(project)
        kept_s = 86_400 * project.serving.keep_content_days
        self._outbox = Outbox(outbox_file(project, shard), lineage(project).simulate_run, kept_s)
        self._flusher = Flusher(project, lake, self._outbox)
        # Of their own: threads that the rest of a process shares may all be busy with models.
        self._disk = ThreadPoolExecutor(DISK_THREADS, thread_name_prefix="outbox")
        self._flushing = ThreadPoolExecutor(1, thread_name_prefix="flush")
        self._waiting = list[tuple[Submission, asyncio.Future[Recorded]]]()
        self._committing = None

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

    async def check(self, uses: pa.Table) -> None:
        """See `Outbox.check`."""
        await self._on_disk(self._outbox.check, uses)

    async def reply(self, key: str, body_sha256: str) -> bytes | None:
        """See `Outbox.reply`."""
        return await self._on_disk(self._outbox.reply, key, body_sha256)

    async def use(self, query_id: str) -> pa.Table | None:
        """See `Outbox.use`."""
        return await self._on_disk(self._outbox.use, query_id)

    async def content(self, query_id: str) -> str | None:
        """See `Outbox.content`."""
        return await self._on_disk(self._outbox.content, query_id)

    async def lease(self, most: int) -> list[tuple[str, str]]:
        """See `Readings.lease`."""
        return await self._on_disk(self._outbox.readings.lease, most)

    async def complete(self, readings: Sequence[Reading]) -> None:
        """See `Readings.complete`."""
        await self._on_disk(self._outbox.readings.complete, readings)

    async def counted(self, period: str) -> float:
        """See `Outbox.counted`."""
        return await self._on_disk(self._outbox.counted, period)

    async def state(self) -> WriterState:
        """The outbox in figures."""
        return await self._on_disk(self._flusher.state)

    async def probe(self) -> None:
        """Check that uses can be recorded, and that the lake can be reached.

        Raises:
            LakeError: which of the two cannot.
        """
        await self._on_disk(self._outbox.probe)
        await self._run(self._flushing, self._flusher.probe)

    async def flush(self) -> int:
        """Bring everything that waits to the lake, except for uses that are still to be read out; their number.

        Raises:
            TributeError, LakeError: the lake cannot be written; everything stays in the outbox.
        """
        return await self._run(self._flushing, self._flusher.flush)

    async def keep_flushing(self) -> None:
        """Bring uses to the lake every `serving.flush_every_s`, or as soon as `serving.flush_uses` wait."""
        with suppress(asyncio.CancelledError):
            while True:
                await self._try_flush()
                flushed = time.monotonic()
                while time.monotonic() - flushed < self._settings.flush_every_s:
                    await asyncio.sleep(min(TICK_S, self._settings.flush_every_s))
                    if await self._on_disk(self._flusher.many_wait):
                        break

    async def close(self) -> None:
        """Bring what waits to the lake, if that is to be had, and close the outbox."""
        await self._try_flush()
        await self._on_disk(self._outbox.close)
        self._disk.shutdown(wait=False)
        self._flushing.shutdown(wait=False)

    async def _on_disk(self, work: Callable[..., Result], *arguments: Any) -> Result:
        return await self._run(self._disk, work, *arguments)

    async def _run(self, threads: ThreadPoolExecutor, work: Callable[..., Result], *arguments: Any) -> Result:
        return await asyncio.get_running_loop().run_in_executor(threads, work, *arguments)

    async def _try_flush(self) -> None:
        try:
            await self.flush()
        except (TributeError, LakeError) as error:
            _log.warning("Uses stay in the outbox: %s", error)
        except Exception:  # a defect: the next flush tries again, and the state says so
            _log.exception("Uses stay in the outbox")

    async def _commit(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            try:
                results = await self._on_disk(self._outbox.record, [submission for submission, _ in batch])
            except Exception as error:
                for _, future in batch:
                    if not future.done():
                        future.set_exception(error)
                continue
            for (_, future), result in zip(batch, results, strict=True):
                if future.done():
                    continue
                if isinstance(result, LakeError):
                    future.set_exception(result)
                else:
                    future.set_result(result)


class Draining(Protocol):
    """A writer, here or elsewhere."""

    async def flush(self) -> int: ...

    async def state(self) -> WriterState: ...


async def drain(writers: Sequence[Draining], patience_s: float = DRAIN_PATIENCE_S) -> None:
    """Bring every use that was recorded before to the lake, also those that wait for their exact read-out.

    Uses that are recorded meanwhile are not waited for.

    Raises:
        MachineError: for `patience_s`, nothing was read out.
        LakeError: the lake cannot be written.
    """
    for writer in writers:
        await writer.flush()
        state, since = await writer.state(), time.monotonic()
        newest, oldest, unread = state.newest, state.oldest_unread, state.unread
        while state.oldest_unread is not None and state.oldest_unread <= newest:
            if state.unread < unread or state.oldest_unread != oldest:  # new ones may come as fast as others go
                since = time.monotonic()
            elif time.monotonic() - since > patience_s:
                raise MachineError(
                    f"{state.unread} recorded uses still wait for their exact read-out, and none was read out for "
                    f"{patience_s:g} s. Look at the log of the service for the reason"
                )
            oldest, unread = state.oldest_unread, state.unread
            await asyncio.sleep(TICK_S)
            state = await writer.state()
        await writer.flush()


def require_no_other_outbox(project: Project) -> None:
    """Check that nothing waits in an outbox that the service does not open.

    Raises:
        LakeError: with fewer writers than before, uses would never get to the lake.
    """
    used = {outbox_file(project, shard) for shard in range(project.serving.writers)}
    for path in _outboxes(project):
        if path not in used and (waiting := uses_waiting(path)):
            raise LakeError(
                f"{waiting:,} uses wait in the outbox {path}, which serving.writers: {project.serving.writers} "
                "leaves out. Raise it and start the service once more: it brings them to the lake"
            )


def require_all_brought(project: Project, period: str) -> None:
    """Check that no use of a month waits in an outbox of the working folder, whether or not a service is running.

    Raises:
        BusyError: some do.
        LakeError: an outbox cannot be read.
    """
    if waiting := sum(uses_waiting(path, period) for path in _outboxes(project)):
        raise BusyError(
            f"{waiting:,} recorded uses of {period} are not in the lake yet: they wait in "
            f"{outbox_file(project, 0).parent}. The running service brings them there every "
            f"{project.serving.flush_every_s:g} s, and those to be read out exactly once that is done; without "
            "one, start it: tribute serve. Then settle again and review: tribute run PROJECT.yaml --period "
            f"{period}"
        )


def _outboxes(project: Project) -> list[Path]:
    """Every outbox of the working folder, also of more writers than there are now."""
    return sorted(outbox_file(project, 0).parent.glob("outbox-*.sqlite"))


def outbox_file(project: Project, shard: int) -> Path:
    """The file of an outbox."""
    return project.workdir / "service" / f"outbox-{shard}.sqlite"
