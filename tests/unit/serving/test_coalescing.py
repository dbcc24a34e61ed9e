"""Calls that gather while others are on their way share the next message."""

import asyncio
from collections.abc import Sequence

from tribute.serving.coalescing import CoalescedCalls, each_alone


class Far:
    """The other end: remembers the groups, and answers when it is let."""

    def __init__(self) -> None:
        self.groups, self.free = list[list[int]](), asyncio.Event()

    async def send(self, items: Sequence[int]) -> list[int | Exception]:
        self.groups.append(list(items))
        await self.free.wait()
        return [ValueError(str(item)) if item < 0 else 10 * item for item in items]


def calls_of(far: Far) -> CoalescedCalls[int, int]:
    return CoalescedCalls(far.send, at_once=1, largest=3)


def test_what_gathers_goes_in_one_message_and_everyone_gets_its_own() -> None:
    async def run() -> tuple[list[list[int]], list[int]]:
        far = Far()
        calls = calls_of(far)
        asked = [asyncio.create_task(calls.call(number)) for number in range(8)]
        await asyncio.sleep(0)
        far.free.set()
        return far.groups, await asyncio.gather(*asked)

    groups, found = asyncio.run(run())
    assert groups == [[0], [1, 2, 3], [4, 5, 6], [7]] or groups == [[0, 1, 2], [3, 4, 5], [6, 7]]
    assert found == [10 * number for number in range(8)]


def test_an_error_is_of_the_item_that_made_it() -> None:
    async def run() -> list[int | BaseException]:
        far = Far()
        far.free.set()
        calls = calls_of(far)
        return await asyncio.gather(*(calls.call(number) for number in (1, -2, 3)), return_exceptions=True)

    one, two, three = asyncio.run(run())
    assert (one, three) == (10, 30)
    assert isinstance(two, ValueError)


def test_a_message_that_fails_fails_all_in_it() -> None:
    async def broken(_: Sequence[int]) -> list[int]:
        raise ConnectionError("gone")

    async def run() -> list[int | BaseException]:
        calls = CoalescedCalls[int, int](broken, 1, 3)
        return await asyncio.gather(*map(calls.call, range(3)), return_exceptions=True)

    assert all(isinstance(each, ConnectionError) for each in asyncio.run(run()))


def test_a_cancelled_call_takes_no_other_along() -> None:
    async def run() -> int:
        far = Far()
        calls = calls_of(far)
        asked = [asyncio.create_task(calls.call(number)) for number in range(3)]
        await asyncio.sleep(0)
        asked[1].cancel()
        await asyncio.gather(asked[1], return_exceptions=True)
        far.free.set()
        return await asked[0] + await asked[2]

    assert asyncio.run(run()) == 20


def test_the_other_end_answers_each_or_says_its_error() -> None:
    async def half(number: int) -> int:
        if number % 2:
            raise KeyError(number)
        return number // 2

    found = asyncio.run(each_alone([4, 3, 8], half))
    assert (found[0], found[2]) == (2, 4)
    assert isinstance(found[1], KeyError)
