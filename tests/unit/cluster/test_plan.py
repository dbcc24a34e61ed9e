"""Division of work into chunks."""

import pytest

from tribute.cluster.plan import chunks, owners


@pytest.mark.parametrize(("count", "largest"), [(1, 8), (8, 8), (10, 8), (20, 7), (23, 1)])
def test_chunks_cover_everything_once_in_few_even_parts(count: int, largest: int) -> None:
    cut = chunks(count, largest)
    assert [index for chunk in cut for index in chunk] == list(range(count))
    sizes = [len(chunk) for chunk in cut]
    assert max(sizes) <= largest
    assert max(sizes) - min(sizes) <= 1
    assert len(cut) == -(-count // largest)


def test_owners_balance_tokens_and_own_every_source_once() -> None:
    owned = owners(["a", "b", "c", "d"], [100, 60, 50, 10], 2)
    assert owned == [["a", "d"], ["b", "c"]]
    assert owners(["a"], [5], 3) == [["a"]]
