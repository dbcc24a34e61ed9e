"""Whether the service can work, looked at once a second at most: looking writes to the outbox."""

import asyncio
import time
from collections.abc import Callable

from tribute.serving import ServiceEngine
from tribute.serving.engine import Readiness

FRESH_S = 1.0


class RecentReadiness:
    """The readiness of an engine. Whoever asks meanwhile waits for the same answer.

    Args:
        clock: seconds, which only grow.
    """

    def __init__(self, engine: ServiceEngine, clock: Callable[[], float] = time.monotonic) -> None:
        self._engine, self._clock, self._turn = engine, clock, asyncio.Lock()
        self._found: tuple[float, Readiness] | None = None

    async def found(self) -> Readiness:
        """What was found at most `FRESH_S` ago."""
        async with self._turn:
            if self._found is None or self._clock() - self._found[0] >= FRESH_S:
                readiness = await self._engine.ready()
                self._found = self._clock(), readiness
            return self._found[1]
