"""Batches of pieces of several callers, by tokens. No caller waits for all of another one's text."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

Work = TypeVar("Work")
Result = TypeVar("Result")


class Piece(NamedTuple, Generic[Work]):
    """A part of a request that is computed in one batch."""

    work: Work
    tokens: int


@dataclass
class _Entry(Generic[Work, Result]):
    """A piece that waits, when its part of the request would end, and its result to come."""

    piece: Piece[Work]
    ends: float
    future: "asyncio.Future[Result]"


@dataclass
class _Queue(Generic[Work, Result]):
    """What one caller waits for, the price of a token, and when the last of it would end."""

    price: float
    ends: float
    entries: deque[_Entry[Work, Result]] = field(default_factory=deque)


class TokenBatcher(Generic[Work, Result]):
    """Runs batches of at most `tokens`, one at a time, in a thread.

    Callers have equal parts (weighted fair queueing): next is the one whose request would end first, if all were
    served at once. Up to the size of a batch a request stays whole: if all advanced together, all would end
    together, and nothing would be left to compute while they are answered. A caller that comes in begins where
    everybody would be if all were served at once, so it neither waits for the past nor starves the others.

    Args:
        run: computes a batch; one result per piece.
        tokens: of a batch, except that a single piece may be larger.
    """

    def __init__(self, run: Callable[[Sequence[Work]], Sequence[Result]], tokens: int) -> None:
        self._run, self._tokens = run, tokens
        # Of its own: threads that the rest of a process shares may all wait for something.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="batches")
        self._queues = dict[str, _Queue[Work, Result]]()
        self._clock, self._worker = 0.0, None
        self._ended = dict[str, float]()

    _worker: "asyncio.Task[None] | None"

    async def submit(self, caller: str, pieces: Sequence[Piece[Work]], price: float = 1.0) -> list[Result]:
        """The results of pieces, in order. Cancelled, the pieces that are not begun are dropped.

        Args:
            caller: whose turn it is: pieces of one caller are computed in order.
            price: of a token; at 20, a caller gets a twentieth of what another one gets.
        """
        loop = asyncio.get_running_loop()
        queue = self._queues.get(caller)
        if queue is None:
            begins = max(self._clock, self._ended.pop(caller, 0.0))
            queue = self._queues[caller] = _Queue(price, begins)
        futures = [loop.create_future() for _ in pieces]
        waiting = deque(zip(pieces, futures, strict=True))
        while waiting:
            self._add_turn(queue, waiting)
        if self._worker is None or self._worker.done():
            self._worker = loop.create_task(self._work())
        try:
            return [await future for future in futures]
        finally:
            for future in futures:
                future.cancel()

    def _add_turn(
        self, queue: _Queue[Work, Result], waiting: "deque[tuple[Piece[Work], asyncio.Future[Result]]]"
    ) -> None:
        """Move the pieces of one turn to a queue: at least one, and together no dearer than a batch."""
        begins, turn = queue.ends, list[tuple[Piece[Work], asyncio.Future[Result]]]()
        while waiting and (not turn or queue.ends + waiting[0][0].tokens * queue.price - begins <= self._tokens):
            turn.append(waiting.popleft())
            queue.ends += turn[-1][0].tokens * queue.price
        queue.entries.extend(_Entry(piece, queue.ends, future) for piece, future in turn)

    async def _work(self) -> None:
        while batch := self._next_batch():
            try:
                await self._settle(batch)
            except Exception as error:
                if len(batch) == 1:
                    _fail(batch[0][1], error)
                for entry in batch if len(batch) > 1 else ():  # one that cannot be computed takes no other along
                    await self._alone(entry)

    async def _settle(self, batch: list[tuple[Piece[Work], "asyncio.Future[Result]"]]) -> None:
        works = [piece.work for piece, _ in batch]
        results = await asyncio.get_running_loop().run_in_executor(self._thread, self._run, works)
        for (_, future), result in zip(batch, results, strict=True):
            if not future.done():
                future.set_result(result)

    async def _alone(self, entry: tuple[Piece[Work], "asyncio.Future[Result]"]) -> None:
        try:
            await self._settle([entry])
        except Exception as error:
            _fail(entry[1], error)

    def _next_batch(self) -> list[tuple[Piece[Work], "asyncio.Future[Result]"]]:
        batch = list[tuple[Piece[Work], asyncio.Future[Result]]]()
        tokens = 0
        while self._awaited():
            queue = min(self._queues.values(), key=lambda each: each.entries[0].ends)
            entry = queue.entries[0]
            if batch and tokens + entry.piece.tokens > self._tokens:
                break
            queue.entries.popleft()
            self._clock += entry.piece.tokens / sum(1 / each.price for each in self._queues.values())
            batch.append((entry.piece, entry.future))
            tokens += entry.piece.tokens
        return batch

    def _awaited(self) -> bool:
        """Whether anybody waits; drops what was cancelled, and callers who wait for nothing."""
        for name, queue in list(self._queues.items()):
            while queue.entries and queue.entries[0].future.done():
                queue.entries.popleft()
            if not queue.entries:
                self._ended[name] = self._queues.pop(name).ends
        if not self._queues:
            self._clock = max(self._clock, *self._ended.values(), 0.0)
        self._ended = {name: ends for name, ends in self._ended.items() if ends > self._clock}
        return bool(self._queues)


def _fail(future: "asyncio.Future[Result]", error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
