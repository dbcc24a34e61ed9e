"""Batches by tokens: fair to callers, deaf to those who left, and no piece takes another one along."""

import asyncio
import threading
from collections.abc import Sequence

import pytest

from tribute.serving.attributing.batching import Piece, TokenBatcher

BATCH = 100


class Computer:
    """Doubles numbers, batch by batch, and remembers the batches. A negative number cannot be doubled."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.go = threading.Event()
        self.go.set()

    def run(self, numbers: Sequence[int]) -> list[int]:
        """Double them, all or none."""
        assert self.go.wait(20)
        self.batches.append([*numbers])
        if min(numbers) < 0:
            raise ArithmeticError(f"cannot double {min(numbers)}")
        return [2 * number for number in numbers]

    def batcher(self) -> TokenBatcher[int, int]:
        """A batcher of it."""
        return TokenBatcher(self.run, BATCH)


def pieces(numbers: Sequence[int], tokens: int) -> list[Piece[int]]:
    return [Piece(number, tokens) for number in numbers]


def test_results_come_in_order_and_batches_keep_to_their_size() -> None:
    computer = Computer()
    found = asyncio.run(computer.batcher().submit("a", pieces(range(10), 30)))
    assert found == [2 * number for number in range(10)]
    assert [len(batch) for batch in computer.batches] == [3, 3, 3, 1]


def test_a_piece_that_is_larger_than_a_batch_is_computed_alone() -> None:
    computer = Computer()
    found = asyncio.run(computer.batcher().submit("a", [Piece(1, 10), Piece(2, 500), Piece(3, 10)]))
    assert found == [2, 4, 6]
    assert computer.batches == [[1], [2], [3]]


def test_pieces_of_several_callers_share_a_batch() -> None:
    computer = Computer()

    async def ask() -> list[list[int]]:
        batcher = computer.batcher()
        return await asyncio.gather(*(batcher.submit(f"caller {each}", pieces([each], 10)) for each in range(8)))

    assert asyncio.run(ask()) == [[2 * each] for each in range(8)]
    assert len(computer.batches) <= 2  # the first may go before the others come


def test_a_huge_request_delays_a_small_one_by_no_more_than_two_batches() -> None:
    computer = Computer()

    async def ask() -> None:
        computer.go.clear()
        batcher = computer.batcher()
        huge = asyncio.create_task(batcher.submit("huge", pieces(range(1000, 1200), 25)))
        await asyncio.sleep(0.05)  # its first batch is begun
        small = asyncio.create_task(batcher.submit("small", pieces(range(3), 25)))
        await asyncio.sleep(0.05)
        computer.go.set()
        await asyncio.gather(small, huge)

    asyncio.run(ask())
    last = next(number for number, batch in enumerate(computer.batches) if 2 in batch)
    assert last <= 2  # of 51, after the one that was begun
    assert len(computer.batches) == 51  # 203 pieces, four a batch


def test_requests_of_equal_size_end_one_after_the_other() -> None:
    """The first is answered while the others are computed: its caller has time to ask again."""
    computer = Computer()

    async def ask() -> None:
        computer.go.clear()
        batcher = computer.batcher()
        tasks = [asyncio.create_task(batcher.submit("first", pieces([0], 100)))]
        await asyncio.sleep(0.05)
        tasks += [asyncio.create_task(batcher.submit(str(each), pieces([each] * 5, 20))) for each in (1, 2, 3)]
        await asyncio.sleep(0.05)
        computer.go.set()
        await asyncio.gather(*tasks)

    asyncio.run(ask())
    assert computer.batches == [[0], [1] * 5, [2] * 5, [3] * 5]


def test_small_requests_of_ever_new_callers_do_not_starve_a_large_one() -> None:
    computer = Computer()

    async def ask() -> int:
        batcher = computer.batcher()
        large = asyncio.create_task(batcher.submit("large", pieces([1] * 20, 50)))
        small = 0
        while not large.done():
            small += 2
            await asyncio.gather(*(batcher.submit(f"{small} {each}", pieces([2], 50)) for each in (1, 2)))
        return small

    assert 4 <= asyncio.run(ask()) <= 60  # at worst, each of three callers gets a third


def test_callers_get_equal_parts_and_a_dear_one_a_twentieth() -> None:
    computer = Computer()

    async def ask() -> None:
        computer.go.clear()
        batcher = computer.batcher()
        tasks = [asyncio.create_task(batcher.submit("first", pieces([0], 100)))]
        await asyncio.sleep(0.05)
        for number, price in ((1, 1.0), (2, 1.0), (3, 20.0)):
            tasks.append(asyncio.create_task(batcher.submit(str(number), pieces([number] * 100, 10), price)))
        await asyncio.sleep(0.05)
        computer.go.set()
        await asyncio.gather(*tasks)

    asyncio.run(ask())
    order = [number for batch in computer.batches for number in batch if number]
    half = order[:200]
    assert abs(half.count(1) - half.count(2)) <= BATCH // 10
    assert 4 <= half.count(3) <= 12


def test_who_waited_long_ago_has_no_more_right_than_a_newcomer() -> None:
    """A caller that comes back begins where the least served one is."""
    computer = Computer()

    async def ask() -> None:
        batcher = computer.batcher()
        await batcher.submit("old", pieces([1], 10))
        await batcher.submit("busy", pieces([2] * 200, 10))
        computer.go.clear()
        begun = asyncio.create_task(batcher.submit("busy", pieces([2] * 40, 10)))
        await asyncio.sleep(0.05)
        later = asyncio.create_task(batcher.submit("old", pieces([1] * 40, 10)))
        await asyncio.sleep(0.05)
        computer.batches.clear()
        computer.go.set()
        await asyncio.gather(begun, later)

    asyncio.run(ask())
    mixed = [number for batch in computer.batches[1:5] for number in batch]
    assert 15 <= mixed.count(1) <= 25


def test_one_that_cannot_be_computed_takes_no_other_along() -> None:
    computer = Computer()

    async def ask() -> list[object]:
        computer.go.clear()
        batcher = computer.batcher()
        first = asyncio.create_task(batcher.submit("first", pieces([9], 100)))
        await asyncio.sleep(0.05)
        tasks = [asyncio.create_task(batcher.submit(str(each), pieces([each], 10))) for each in (1, -2, 3)]
        await asyncio.sleep(0.05)
        computer.go.set()
        return await asyncio.gather(first, *tasks, return_exceptions=True)

    first, one, bad, three = asyncio.run(ask())
    assert (first, one, three) == ([18], [2], [6])
    assert isinstance(bad, ArithmeticError)


def test_the_rest_of_a_request_that_failed_is_not_computed() -> None:
    computer = Computer()

    async def ask() -> None:
        batcher = computer.batcher()
        with pytest.raises(ArithmeticError):
            await batcher.submit("a", pieces([-1, 2, 3, 4], 100))
        assert await batcher.submit("b", pieces([5], 100)) == [10]

    asyncio.run(ask())
    assert [4] not in computer.batches


def test_what_a_caller_who_left_waited_for_is_not_computed() -> None:
    computer = Computer()

    async def ask() -> None:
        computer.go.clear()
        batcher = computer.batcher()
        gone = asyncio.create_task(batcher.submit("gone", pieces([1] * 50, 100)))
        stays = asyncio.create_task(batcher.submit("stays", pieces([7], 100)))
        await asyncio.sleep(0.05)
        gone.cancel()
        await asyncio.sleep(0)
        computer.go.set()
        assert await stays == [14]
        assert await batcher.submit("next", pieces([8], 100)) == [16]

    asyncio.run(ask())
    assert len(computer.batches) == 3  # what was begun, and the two that stayed
