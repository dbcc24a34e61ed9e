"""How much a key may ask for: two token buckets, of requests and of queries."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from tribute_jobs.service.access.caller import Caller
from tribute_jobs.service.problems import HttpProblem

BURST_S, ROUNDING = 10.0, 1e-9
"""A bucket holds what its limit lets through in this time, and at least one; up to this part of it."""


@dataclass
class _Bucket:
    """What may be taken without waiting, and when that was true. Below zero: it was taken in advance."""

    level: float
    time: float


class RateLimits:
    """The limits of all keys.

    They are kept in the memory of one replica of the ingress: with several replicas, a key may ask for as many
    times its limit, and a replica that starts anew has forgotten what was taken.

    Args:
        requests_per_minute: of keys without a limit of their own; None: no limit. `queries_per_minute` likewise.
        clock: seconds, which only grow.
    """

    def __init__(
        self,
        requests_per_minute: int | None,
        queries_per_minute: int | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._defaults = {"requests": requests_per_minute, "queries": queries_per_minute}
        self._clock, self._lock = clock, Lock()
        self._buckets: dict[tuple[str, str], _Bucket] = {}

    def take_request(self, caller: Caller) -> None:
        """Count a request.

        Raises:
            HttpProblem: 429, with the time to wait.
        """
        self._take("requests", caller, caller.requests_per_minute, 1)

    def take_queries(self, caller: Caller, count: int) -> None:
        """Count the queries of a request.

        A request of more queries than the bucket holds passes when it is full, and the next one waits longer. So
        no size of a request is refused for ever, and the limit holds on average.

        Raises:
            HttpProblem: 429, with the time to wait.
        """
        self._take("queries", caller, caller.queries_per_minute, count)

    def _take(self, what: str, caller: Caller, own: int | None, count: int) -> None:
        limit = own or self._defaults[what]
        if limit is None:
            return
        per_second, most = limit / 60, max(1.0, limit / 60 * BURST_S)
        with self._lock:
            now = self._clock()
            bucket = self._buckets.setdefault((caller.key_id, what), _Bucket(most, now))
            bucket.level = min(most, bucket.level + (now - bucket.time) * per_second)
            bucket.time = now
            lacking = min(count, most) - bucket.level
            if lacking <= ROUNDING * most:
                bucket.level -= count
                return
        wait = max(1, math.ceil(lacking / per_second))
        raise HttpProblem(
            429,
            "Too many requests",
            f"The key {caller.key_id} may send {limit} {what} a minute. Try again in {wait} s, or ask the "
            "operator for a key with a higher limit",
            {"Retry-After": str(wait)},
        )
