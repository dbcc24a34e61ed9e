"""Delivery of uses to the service, in the background of an event loop."""

import asyncio
import json
import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from tribute.client.asynchronous import AsyncClient
from tribute.client.errors import ServiceError
from tribute.client.reporting.backlog import Backlog, BacklogFull
from tribute.client.uses import use_fields
from tribute.errors import MachineError, TributeError

Use = Mapping[str, object]
OnDrop = Callable[[Use, str], None]
ABOUT_USES = frozenset((400, 409, 413, 422))
"""Statuses that say what is wrong with the uses. Any other error may pass."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
LOG_EVERY_S = 10.0
log = logging.getLogger("tribute.client")


@dataclass(frozen=True)
class UsageCounts:
    """What became of the completions so far: seen + found = skipped + delivered + waiting + all dropped.

    Attributes:
        seen: completions that users received.
        found: uses in the spool, of a process before this one.
        skipped: those that the text function leaves out.
        delivered: uses that the service has.
        recorded: those of them that it had not before.
        waiting: uses to be delivered.
        dropped: uses that are lost, by reason.
    """

    seen: int
    found: int
    skipped: int
    delivered: int
    recorded: int
    waiting: int
    dropped: Mapping[str, int]


class Drops:
    """Counts, logs and tells of every use that is lost; a line of the log tells of many."""

    def __init__(self, on_drop: OnDrop | None) -> None:
        self.counts, self._on_drop = Counter[str](), on_drop
        self._untold, self._told_s = Counter[str](), -LOG_EVERY_S

    def note(self, use: Use, reason: str, detail: str) -> None:
        """A use is lost."""
        self.counts[reason] += 1
        self._untold[reason] += 1
        if time.monotonic() - self._told_s >= LOG_EVERY_S:
            self.tell(detail)
        if self._on_drop is not None:
            try:
                self._on_drop(use, f"{reason}: {detail}")
            except Exception:
                log.exception("on_drop failed")

    def tell(self, detail: str = "see above") -> None:
        """Log what was not logged yet."""
        if self._untold:
            numbers = ", ".join(f"{number} {reason}" for reason, number in self._untold.items())
            log.warning("Uses were not reported: %s. The last one: %s", numbers, detail)
            self._untold.clear()
            self._told_s = time.monotonic()


class Delivery:
    """Sends what a backlog holds, in batches, until the service has it. Lives in one event loop."""

    def __init__(
        self, client: AsyncClient, backlog: Backlog, drops: Drops, batch: int = 64, linger_s: float = 0.5
    ) -> None:
        self.found, self.delivered, self.recorded = len(backlog), 0, 0
        self._client, self._backlog, self._drops = client, backlog, drops
        self._batch, self._linger_s = batch, linger_s
        self._is_closing = self._is_closed = False
        self._wanted, self._enough, self._unsynced = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._tasks = [asyncio.create_task(self._deliver_all()), asyncio.create_task(self._sync_all())]

    def add(self, use: Use) -> None:
        """Take a use to deliver; one for which there is no room is dropped."""
        try:
            if self._is_closed:
                raise BacklogFull("the reporter is closed")
            self._backlog.add(json.dumps(use_fields(use), allow_nan=False, separators=(",", ":")).encode())
        except BacklogFull as full:
            self._drops.note(use, "without room", str(full))
        except (TypeError, ValueError, OverflowError) as error:
            self._drops.note(use, "unfit", str(error))
        self._wanted.set()
        self._unsynced.set()
        if len(self._backlog) >= self._batch:
            self._enough.set()

    @property
    def waiting(self) -> int:
        """Uses to be delivered."""
        return len(self._backlog)

    async def close(self, grace_s: float) -> None:
        """Deliver what waits, within some seconds. The rest stays in a spool, or is dropped."""
        self._is_closing = True
        self._wanted.set()
        self._enough.set()
        await asyncio.wait(self._tasks[:1], timeout=grace_s)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        left = len(self._backlog)
        if left and self._backlog.survives:
            log.info("%d uses wait in the spool for the next start", left)
        elif left:
            for line in self._backlog.peek(left):
                self._drops.note(json.loads(line), "left at shutdown", f"not delivered within {grace_s:g} s")
            self._backlog.advance(left)
        self._is_closed = True
        self._drops.tell()
        self._backlog.close()

    async def _deliver_all(self) -> None:
        pause = FIRST_PAUSE_S
        while True:
            try:
                if not await self._some_wait():
                    return
                lines = self._backlog.peek(self._batch)
                await self._deliver([use for line in lines if (use := self._read(line)) is not None])
                self._backlog.advance(len(lines))
                pause = FIRST_PAUSE_S
            except Exception as error:  # a fault here must neither end the delivery nor reach the endpoint
                is_known = isinstance(error, TributeError)
                log.warning("Uses wait (%d): %s", len(self._backlog), error, exc_info=not is_known)
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE_S)

    async def _some_wait(self) -> bool:
        """Wait for uses, and a moment for more of them. False: there will be none."""
        while not len(self._backlog):
            if self._is_closing:
                return False
            self._wanted.clear()
            await self._wanted.wait()
        if len(self._backlog) < self._batch and not self._is_closing:
            self._enough.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._linger_s):  # wait_for of 3.11 may swallow a cancellation
                    await self._enough.wait()
        return True

    async def _deliver(self, uses: list[Use]) -> None:
        """Send uses; where one of them is refused, find it and drop it."""
        if not uses:
            return
        try:
            answer = await self._client.attribute(uses, top_k=1)
        except MachineError:
            raise
        except TributeError as error:
            if isinstance(error, ServiceError) and error.status not in ABOUT_USES:
                raise
            if len(uses) == 1:
                self._drops.note(uses[0], "refused", str(error))
                return
            await self._deliver(uses[: len(uses) // 2])
            await self._deliver(uses[len(uses) // 2 :])
            return
        self.delivered += len(answer)
        self.recorded += answer.recorded

    def _read(self, line: bytes) -> Use | None:
        try:
            use = json.loads(line)
            if isinstance(use, dict):
                return use
        except ValueError:
            pass
        self._drops.note({}, "damaged", f"a line of the spool cannot be read: {line[:80]!r}")
        return None

    async def _sync_all(self) -> None:
        while True:
            await self._unsynced.wait()
            self._unsynced.clear()
            try:
                await asyncio.to_thread(_sync, self._backlog.unsynced())
            except OSError as error:
                log.warning("The spool cannot be synced: %s", error)


def _sync(descriptors: list[int]) -> None:
    for descriptor in descriptors:
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
