"""How much a key, or an address without one, may ask for: token buckets."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from threading import Lock
from typing import NamedTuple

from tribute_jobs.service.access.caller import Caller
from tribute_jobs.service.problems import HttpProblem

BURST_S, ROUNDING = 10.0, 1e-9
"""A bucket holds what its limit lets through in this time, and at least one; up to this part of it."""
REFUSED_PER_MINUTE, REFUSED_IN_ALL_PER_MINUTE = 60, 600
"""Requests without a key that is known, of an address and of all addresses. Each is a row of the audit table."""
MOST_ADDRESSES = 1024
"""Addresses that are remembered; further ones share a bucket."""
HOST_BITS = 64
"""Of an IPv6 address: whoever has one has all that differ in these."""


class _Rate(NamedTuple):
    """What runs into a bucket, and the most that it holds."""

    per_second: float
    most: float


@dataclass
class _Bucket:
    """What may be taken without waiting, and when that was true. Below zero: it was taken in advance."""

    level: float
    time: float

    def wait_s(self, rate: _Rate, count: int, now: float) -> float:
        """How long until some can be taken; more than the bucket holds can be taken when it is full."""
        self._fill(rate, now)
        lacking = min(count, rate.most) - self.level
        return 0.0 if lacking <= ROUNDING * rate.most else lacking / rate.per_second

    def is_full(self, rate: _Rate, now: float) -> bool:
        """Whether all that was taken has run in again."""
        self._fill(rate, now)
        return self.level >= rate.most

    def _fill(self, rate: _Rate, now: float) -> None:
        self.level = min(rate.most, self.level + (now - self.time) * rate.per_second)
        self.time = now


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
        rate = _Rate(limit / 60, max(1.0, limit / 60 * BURST_S))
        with self._lock:
            now = self._clock()
            bucket = self._buckets.setdefault((caller.key_id, what), _Bucket(rate.most, now))
            wait_s = bucket.wait_s(rate, count, now)
            if not wait_s:
                bucket.level -= count
                return
        wait = max(1, math.ceil(wait_s))
        raise HttpProblem(
            429,
            "Too many requests",
            f"The key {caller.key_id} may send {limit} {what} a minute. Try again in {wait} s, or ask the "
            "operator for a key with a higher limit",
            {"Retry-After": str(wait)},
        )


class TooManyRefusals(HttpProblem):
    """429 to a caller whom nobody knows. It leaves no record: a table that only grows cannot hold them all."""

    def __init__(self, wait: int) -> None:
        super().__init__(
            429,
            "Too many requests",
            f"Too many requests came without a key that is known. Try again in {wait} s, with a key",
            {"Retry-After": str(wait)},
        )


class RefusalLimits:
    """How many requests of unknown callers are refused one by one, with a record: by address, and in all.

    Whoever shows a key that is known is not counted here, whatever others send from the same address. Memory is
    bounded: addresses whose bucket is full again are forgotten, and those beyond `MOST_ADDRESSES` share one.

    Args:
        clock: seconds, which only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, Lock()
        self._each = _Rate(REFUSED_PER_MINUTE / 60, float(REFUSED_PER_MINUTE))
        self._in_all = _Rate(REFUSED_IN_ALL_PER_MINUTE / 60, float(REFUSED_IN_ALL_PER_MINUTE))
        self._buckets: dict[str, _Bucket] = {}
        self._elsewhere = _Bucket(self._each.most, clock())
        self._sum = _Bucket(self._in_all.most, clock())

    def take(self, address: str) -> None:
        """Count a request of an unknown caller.

        Raises:
            TooManyRefusals: 429, with the time to wait.
        """
        with self._lock:
            now = self._clock()
            own = self._bucket(network_of(address), now)
            wait_s = max(own.wait_s(self._each, 1, now), self._sum.wait_s(self._in_all, 1, now))
            if not wait_s:
                own.level -= 1
                self._sum.level -= 1
                return
        raise TooManyRefusals(max(1, math.ceil(wait_s)))

    def remembered(self) -> int:
        """How many addresses have a bucket of their own."""
        return len(self._buckets)

    def _bucket(self, network: str, now: float) -> _Bucket:
        if network not in self._buckets and len(self._buckets) >= MOST_ADDRESSES:
            left = {name: bucket for name, bucket in self._buckets.items() if not bucket.is_full(self._each, now)}
            self._buckets = left
            if len(self._buckets) >= MOST_ADDRESSES:
                return self._elsewhere
        return self._buckets.setdefault(network, _Bucket(self._each.most, now))


def network_of(address: str) -> str:
    """Where a request comes from: an IPv4 address, the network of an IPv6 one, or empty for no address."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped is None:
            return str(IPv6Address(int(found) >> HOST_BITS << HOST_BITS))
        found = found.ipv4_mapped
    return str(found)
