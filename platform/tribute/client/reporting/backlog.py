"""Uses that wait for delivery, as lines of JSON, the oldest first."""

from collections import deque
from itertools import islice
from typing import Protocol


class BacklogFull(Exception):
    """No room for a further use; says where."""


class Backlog(Protocol):
    """A queue whose front is looked at first and taken off once it is delivered."""

    survives: bool
    """Whether it is there after the process."""

    def add(self, line: bytes) -> None:
        """A use to the end.

        Raises:
            BacklogFull: there is no room.
        """

    def peek(self, most: int) -> list[bytes]:
        """The first uses."""

    def advance(self, count: int) -> None:
        """Take off the first uses, which `peek` has shown."""

    def unsynced(self) -> list[int]:
        """Descriptors to sync, so that what was added survives a power failure. The caller closes them."""

    def close(self) -> None:
        """Let go of files and locks."""

    def __len__(self) -> int: ...


class MemoryBacklog:
    """A bounded queue in memory."""

    survives = False

    def __init__(self, capacity: int) -> None:
        self._capacity, self._lines = capacity, deque[bytes]()

    def add(self, line: bytes) -> None:
        """See `Backlog`."""
        if len(self._lines) >= self._capacity:
            raise BacklogFull(f"{self._capacity:,} uses wait already")
        self._lines.append(line)

    def peek(self, most: int) -> list[bytes]:
        """See `Backlog`."""
        return list(islice(self._lines, most))

    def advance(self, count: int) -> None:
        """See `Backlog`."""
        for _ in range(count):
            self._lines.popleft()

    def unsynced(self) -> list[int]:
        """See `Backlog`."""
        return []

    def close(self) -> None:
        """See `Backlog`."""

    def __len__(self) -> int:
        return len(self._lines)
