"""Calls that share a message: what gathers while others are on their way goes in the next one."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, NamedTuple, TypeVar

from tribute.errors import OverloadedError

Item = TypeVar("Item")
Result = TypeVar("Result")


class _Waiting(NamedTuple, Generic[Item, Result]):
    """A call that is not sent yet."""

    item: Item
    size: int
    future: "asyncio.Future[Result]"


@dataclass
class _Lane(Generic[Item, Result]):
    """What one caller waits for: calls that are not sent, and how many groups are on their way."""

    waiting: deque[_Waiting[Item, Result]] = field(default_factory=deque)
    groups: int = 0


class CoalescedCalls(Generic[Item, Result]):
    """Sends items in groups, each of which costs one message. Alone, an item goes at once.

    A group is answered as a whole, so it holds items of one caller, and is bounded in size: nobody waits for the
    work of another caller, and no item for much more work than the largest of its group takes.

    Args:
        send: answers a group, one result or error for each item.
        at_once: groups of one caller on their way at the same time.
        largest: items of a group.
        most_size: of the items of a group together, except that a single item may be larger.
    """

    def __init__(
        self,
        send: Callable[[Sequence[Item]], Awaitable[Sequence[Result | Exception]]],
        at_once: int,
        largest: int,
        most_size: int,
    ) -> None:
        self._send, self._at_once, self._largest, self._most_size = send, at_once, largest, most_size
        self._lanes = dict[Hashable, _Lane[Item, Result]]()
        self._tasks = set[asyncio.Task[None]]()

    async def call(self, item: Item, size: int = 1, caller: Hashable = None) -> Result:
        """The result of an item, or what `send` returned or raised for it.

        Raises:
            OverloadedError: the other end stopped before it answered.
        """
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        lane = self._lanes.setdefault(caller, _Lane())
        lane.waiting.append(_Waiting(item, size, future))
        self._start(caller, lane)
        return await future

    def _start(self, caller: Hashable, lane: _Lane[Item, Result]) -> None:
        while lane.groups < self._at_once and (group := self._next_group(lane.waiting)):
            task = asyncio.get_running_loop().create_task(self._answer(group))
            lane.groups += 1
            self._tasks.add(task)
            task.add_done_callback(partial(self._ended, caller, lane))
            for each in group:
                each.future.add_done_callback(partial(_drop, task, [every.future for every in group]))
        if not lane.groups:
            self._lanes.pop(caller, None)  # nothing waits either

    def _next_group(self, waiting: deque[_Waiting[Item, Result]]) -> list[_Waiting[Item, Result]]:
        group, size = list[_Waiting[Item, Result]](), 0
        while waiting and len(group) < self._largest:
            if waiting[0].future.done():  # it was cancelled
                waiting.popleft()
                continue
            size += waiting[0].size
            if group and size > self._most_size:
                break
            group.append(waiting.popleft())
        return group

    def _ended(self, caller: Hashable, lane: _Lane[Item, Result], task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        lane.groups -= 1
        self._start(caller, lane)

    async def _answer(self, group: Sequence[_Waiting[Item, Result]]) -> None:
        try:
            results = await self._send([each.item for each in group])
            for each, result in zip(group, results, strict=True):
                if isinstance(result, Exception):
                    _fail(each.future, result)
                elif not each.future.done():
                    each.future.set_result(result)
        except Exception as error:
            for each in group:
                _fail(each.future, error)
        finally:  # also where the other end was cancelled, which is no Exception
            for each in group:
                _fail(each.future, _stopped())


def _fail(future: "asyncio.Future[Any]", error: Exception) -> None:
    if not future.done():
        future.set_exception(error)


def _stopped() -> OverloadedError:
    return OverloadedError("A part of the service stopped before it answered. Send the request again")


def _drop(task: "asyncio.Task[None]", futures: Sequence["asyncio.Future[Any]"], _: object) -> None:
    """Cancel a group once everybody who waited for it has left: nobody needs its answer."""
    if all(future.cancelled() for future in futures):
        task.cancel()


async def each_alone(
    items: Sequence[Item], answer: Callable[[Item], Awaitable[Result]]
) -> list[Result | Exception]:
    """The other end of `CoalescedCalls`: the results of all items, which are worked on at the same time.

    One whose work is cancelled takes no other along.
    """
    found = await asyncio.gather(*map(answer, items), return_exceptions=True)
    alone = list[Result | Exception]()
    for each in found:
        if isinstance(each, asyncio.CancelledError):
            alone.append(_stopped())
        elif isinstance(each, BaseException) and not isinstance(each, Exception):
            raise each
        else:
            alone.append(each)
    return alone
