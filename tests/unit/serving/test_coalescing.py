"""Calls that gather while others are on their way share the next message."""

import asyncio
from collections.abc import Sequence

import pytest

from tribute.errors import OverloadedError
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
    return CoalescedCalls(far.send, at_once=1, largest=3, most_size=100)


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
        calls = CoalescedCalls[int, int](broken, 1, 3, 100)
        return await asyncio.gather(*map(calls.call, range(3)), return_exceptions=True)

    assert all(isinstance(each, ConnectionError) for each in asyncio.run(run()))


def test_a_group_is_bounded_in_size_and_one_item_may_be_larger() -> None:
    async def run() -> list[list[int]]:
        far = Far()
        calls = calls_of(far)
        asked = [asyncio.create_task(calls.call(size, size)) for size in (1, 60, 40, 1, 500, 2, 2)]
        await asyncio.sleep(0)
        far.free.set()
        await asyncio.gather(*asked)
        return far.groups

    assert asyncio.run(run()) == [[1], [60, 40], [1], [500], [2, 2]]


def test_callers_share_no_group_and_wait_for_none_of_another_one() -> None:
    async def run() -> tuple[list[list[int]], list[list[int]], int]:
        far = Far()
        calls = calls_of(far)
        asked = [asyncio.create_task(calls.call(number, caller="many")) for number in range(4)]
        asked.append(asyncio.create_task(calls.call(9, caller="one")))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        at_once = [*far.groups]
        far.free.set()
        await asyncio.gather(*asked)
        await asyncio.sleep(0)
        return at_once, far.groups, len(calls._lanes)

    at_once, groups, lanes = asyncio.run(run())
    assert at_once == [[0], [9]]
    assert groups == [[0], [9], [1, 2, 3]]
    assert lanes == 0, "a caller that waits for nothing is forgotten"


def test_a_message_whose_other_end_is_cancelled_leaves_nobody_waiting() -> None:
    async def cancelled(_: Sequence[int]) -> list[int]:
        raise asyncio.CancelledError

    async def run() -> list[int | BaseException]:
        calls = CoalescedCalls[int, int](cancelled, 1, 3, 100)
        asked = [asyncio.create_task(calls.call(number)) for number in range(5)]
        return await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), 5)

    found = asyncio.run(run())
    assert [type(each) for each in found] == [OverloadedError] * 5


def test_an_answer_of_too_few_results_leaves_nobody_waiting() -> None:
    async def short(items: Sequence[int]) -> list[int]:
        return [*items][1:]

    async def run() -> int:
        return await asyncio.wait_for(CoalescedCalls[int, int](short, 1, 3, 100).call(1), 5)

    with pytest.raises(ValueError, match="shorter"):
        asyncio.run(run())


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


def test_at_the_other_end_work_that_is_cancelled_takes_no_other_along() -> None:
    async def broken(number: int) -> int:
        if number == 2:
            raise asyncio.CancelledError
        return number

    one, two, three = asyncio.run(each_alone([1, 2, 3], broken))
    assert (one, three) == (1, 3)
    assert isinstance(two, OverloadedError)
