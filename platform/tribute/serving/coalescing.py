"""Calls that share a message: what gathers while others are on their way goes in the next one."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class CoalescedCalls(Generic[Item, Result]):
    """Sends items in groups, each of which costs one message. Alone, an item goes at once.

    Args:
        send: answers a group, one result or error for each item.
        at_once: groups on their way at the same time.
        largest: items of a group.
    """

    def __init__(
        self,
        send: Callable[[Sequence[Item]], Awaitable[Sequence[Result | Exception]]],
        at_once: int,
        largest: int,
    ) -> None:
        self._send, self._at_once, self._largest = send, at_once, largest
        self._waiting = list[tuple[Item, asyncio.Future[Result]]]()
        self._groups = set[asyncio.Task[None]]()

    async def call(self, item: Item) -> Result:
        """The result of an item, or what `send` returned or raised for it."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        self._start()
        return await future

    def _start(self) -> None:
        while self._waiting and len(self._groups) < self._at_once:
            group, self._waiting = self._waiting[: self._largest], self._waiting[self._largest :]
            wanted = [(item, future) for item, future in group if not future.done()]  # others were cancelled
            if wanted:
                task = asyncio.get_running_loop().create_task(self._answer(wanted))
                self._groups.add(task)
                task.add_done_callback(self._ended)
                for _, future in wanted:
                    future.add_done_callback(partial(_drop, task, [each for _, each in wanted]))

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._groups.discard(task)
        self._start()

    async def _answer(self, group: Sequence[tuple[Item, "asyncio.Future[Result]"]]) -> None:
        try:
            results = await self._send([item for item, _ in group])
        except Exception as error:
            results = [error] * len(group)
        for (_, future), result in zip(group, results, strict=True):
            if future.done():
                continue
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)


def _drop(task: "asyncio.Task[None]", futures: Sequence["asyncio.Future[Any]"], _: object) -> None:
    """Cancel a group once everybody who waited for it has left: nobody needs its answer."""
    if all(future.cancelled() for future in futures):
        task.cancel()


async def each_alone(
    items: Sequence[Item], answer: Callable[[Item], Awaitable[Result]]
) -> list[Result | Exception]:
    """The other end of `CoalescedCalls`: the results of all items, which are worked on at the same time."""
    found = await asyncio.gather(*map(answer, items), return_exceptions=True)
    for each in found:
        if isinstance(each, BaseException) and not isinstance(each, Exception):
            raise each
    return [each for each in found if not isinstance(each, BaseException) or isinstance(each, Exception)]
