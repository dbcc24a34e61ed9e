"""How long a client waits before it sends a request again."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 30.0
MOST_ASKED_S = 120.0
"""A service that asks for a longer pause than this is answered with an error at once."""


@dataclass(frozen=True)
class Backoff:
    """Exponential pauses with jitter, so that clients which failed together do not return together.

    The n-th pause, from 0, is drawn from [d/2, d] with d = min(first * 2^n, longest). A `Retry-After` is kept: the
    drawn pause follows it.
    """

    retries: int
    first_s: float = FIRST_PAUSE_S
    longest_s: float = LONGEST_PAUSE_S
    most_asked_s: float = MOST_ASKED_S
    draw: Callable[[], float] = random.random

    def pause(self, failures: int, asked_s: float | None = None) -> float | None:
        """Seconds to wait after this many failures, from 1; None: give up."""
        if failures > self.retries or (asked_s or 0.0) > self.most_asked_s:
            return None
        most = min(self.first_s * 2.0 ** min(failures - 1, 32), self.longest_s)
        return (asked_s or 0.0) + most * (0.5 + 0.5 * self.draw())


def retry_after(value: str | None) -> float | None:
    """Seconds that a `Retry-After` header asks for: a number, or a date of HTTP. None if it says neither."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
