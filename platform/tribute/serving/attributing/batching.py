"""Batches of pieces of several callers, by tokens. No caller waits for all of another one's text."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

Work = TypeVar("Work")
Result = TypeVar("Result")


class Piece(NamedTuple, Generic[Work]):
    """A part of a request that is computed in one batch."""

    work: Work
    tokens: int


@dataclass
class _Queue(Generic[Work, Result]):
    """What one caller waits for, and how many tokens it was served, counted by its price."""

    price: float
    served: float
    pieces: deque[tuple[Piece[Work], "asyncio.Future[Result]"]] = field(default_factory=deque)


class TokenBatcher(Generic[Work, Result]):
    """Runs batches of at most `tokens`, one at a time, in a thread.

    The next piece is always of the caller that was served the fewest tokens (start-time fair queueing). A caller
    that comes in begins where the least served one is, so it neither waits for the past nor starves the others.

    Args:
        run: computes a batch; one result per piece.
        tokens: of a batch, except that a single piece may be larger.
    """

    def __init__(self, run: Callable[[Sequence[Work]], Sequence[Result]], tokens: int) -> None:
        self._run, self._tokens = run, tokens
        self._queues = dict[str, _Queue[Work, Result]]()
        self._clock, self._worker = 0.0, None

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
            queue = self._queues[caller] = _Queue(price, self._clock)
        futures = [loop.create_future() for _ in pieces]
        queue.pieces.extend(zip(pieces, futures, strict=True))
        if self._worker is None or self._worker.done():
            self._worker = loop.create_task(self._work())
        try:
            return [await future for future in futures]
        finally:
            for future in futures:
                future.cancel()

    @property
    def waiting(self) -> int:
        """Tokens that wait."""
        return sum(piece.tokens for queue in self._queues.values() for piece, _ in queue.pieces)

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
        results = await asyncio.to_thread(self._run, [piece.work for piece, _ in batch])
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
        while self._queues:
            name, queue = min(self._queues.items(), key=lambda item: item[1].served)
            while queue.pieces and queue.pieces[0][1].done():  # cancelled
                queue.pieces.popleft()
            if not queue.pieces:
                del self._queues[name]
                continue
            piece, future = queue.pieces[0]
            if batch and tokens + piece.tokens > self._tokens:
                break
            queue.pieces.popleft()
            self._clock = queue.served
            queue.served += piece.tokens * queue.price
            batch.append((piece, future))
            tokens += piece.tokens
        return batch


def _fail(future: "asyncio.Future[Result]", error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
