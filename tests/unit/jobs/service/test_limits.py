"""Token buckets, with a clock that stands still until told."""

import pytest

from tribute_jobs.service.access import limits as limits_module
from tribute_jobs.service.access.caller import Caller, Role
from tribute_jobs.service.access.limits import (
    BURST_S,
    MOST_ADDRESSES,
    REFUSED_IN_ALL_PER_MINUTE,
    REFUSED_PER_MINUTE,
    RateLimits,
    RefusalLimits,
    TooManyRefusals,
    network_of,
)
from tribute_jobs.service.problems import HttpProblem

FEED = Caller("aaaaaaaa", "feed", Role.INGEST)
OTHER = Caller("bbbbbbbb", "other", Role.INGEST)


class Clock:
    """Seconds that pass when told."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """Noon."""
    return Clock()


def passed(limits: RateLimits, caller: Caller, requests: int) -> int:
    """How many requests in a row are let through."""
    count = 0
    for _ in range(requests):
        try:
            limits.take_request(caller)
        except HttpProblem as problem:
            assert problem.status == 429
            break
        count += 1
    return count


def test_without_a_limit_everything_passes(clock: Clock) -> None:
    limits = RateLimits(None, None, clock)
    assert passed(limits, FEED, 10_000) == 10_000
    limits.take_queries(FEED, 10**9)


def test_a_burst_passes_and_then_the_limit_holds(clock: Clock) -> None:
    limits = RateLimits(60, None, clock)
    assert passed(limits, FEED, 100) == BURST_S
    clock.now += 3
    assert passed(limits, FEED, 100) == 3
    clock.now += 3600
    assert passed(limits, FEED, 100) == BURST_S


@pytest.mark.parametrize("limit", [1, 7, 60, 600])
def test_no_hour_lets_more_through_than_the_limit_and_one_burst(clock: Clock, limit: int) -> None:
    limits, total = RateLimits(limit, None, clock), 0
    for _ in range(3600):
        total += passed(limits, FEED, 100)
        clock.now += 1
    assert 60 * limit - 1 <= total <= 60 * limit + max(1, limit / 60 * BURST_S)


def test_waiting_as_long_as_told_is_enough(clock: Clock) -> None:
    limits = RateLimits(7, None, clock)
    assert passed(limits, FEED, 5) == 1
    with pytest.raises(HttpProblem, match=r"may send 7 requests a minute\. Try again in 8 s") as refused:
        limits.take_request(FEED)
    clock.now += int(refused.value.headers["Retry-After"])
    limits.take_request(FEED)


def test_keys_do_not_share_a_bucket(clock: Clock) -> None:
    limits = RateLimits(6, None, clock)
    assert passed(limits, FEED, 3) == 1
    assert passed(limits, OTHER, 3) == 1


def test_a_key_has_its_own_limit(clock: Clock) -> None:
    limits = RateLimits(6, None, clock)
    assert passed(limits, Caller("cccccccc", "fast", Role.INGEST, requests_per_minute=60), 50) == BURST_S
    assert passed(RateLimits(None, None, clock), Caller("c", "c", Role.INGEST, requests_per_minute=6), 9) == 1


def test_a_large_request_passes_once_and_is_paid_for_later(clock: Clock) -> None:
    limits = RateLimits(None, 600, clock)
    limits.take_queries(FEED, 600)  # the bucket holds 100
    with pytest.raises(HttpProblem, match="600 queries a minute"):
        limits.take_queries(FEED, 1)
    clock.now += 50  # owes 500 = 50 s
    with pytest.raises(HttpProblem):
        limits.take_queries(FEED, 1)
    clock.now += 0.1
    limits.take_queries(FEED, 1)


def test_what_was_refused_costs_nothing(clock: Clock) -> None:
    limits = RateLimits(None, 60, clock)
    limits.take_queries(FEED, 10)
    for _ in range(100):
        with pytest.raises(HttpProblem):
            limits.take_queries(FEED, 5)
    clock.now += 5
    limits.take_queries(FEED, 5)


def refused(limits: RefusalLimits, address: str, requests: int = 10_000) -> int:
    """How many requests in a row are refused one by one."""
    for count in range(requests):
        try:
            limits.take(address)
        except TooManyRefusals as problem:
            assert problem.status == 429
            return count
    return requests


def test_an_address_without_a_key_is_refused_so_often_a_minute(clock: Clock) -> None:
    limits = RefusalLimits(clock)
    assert refused(limits, "10.0.0.7") == REFUSED_PER_MINUTE
    with pytest.raises(TooManyRefusals, match=r"without a key that is known\. Try again in 1 s") as problem:
        limits.take("10.0.0.7")
    clock.now += int(problem.value.headers["Retry-After"])
    assert refused(limits, "10.0.0.7") == 1
    assert refused(limits, "10.0.0.8") == REFUSED_PER_MINUTE


def test_all_addresses_together_are_limited_too(clock: Clock) -> None:
    limits = RefusalLimits(clock)
    assert sum(refused(limits, f"10.0.{each}.7") for each in range(100)) == REFUSED_IN_ALL_PER_MINUTE
    clock.now += 60
    assert sum(refused(limits, f"10.1.{each}.7") for each in range(100)) == REFUSED_IN_ALL_PER_MINUTE


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("10.0.0.7", "10.0.0.7"),
        ("::ffff:10.0.0.7", "10.0.0.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2::", "2001:db8:1:2::"),
        ("fe80::1%eth0", "fe80::"),
        ("testclient", ""),
        ("", ""),
    ],
)
def test_whoever_has_an_ipv6_address_has_its_whole_network(address: str, network: str) -> None:
    assert network_of(address) == network


def test_memory_holds_so_many_addresses_however_many_send(clock: Clock) -> None:
    limits, found = RefusalLimits(clock), set[int]()
    for number in range(4 * MOST_ADDRESSES):
        refused(limits, f"10.0.{number // 250}.{number % 250}", 1)
        clock.now += 0.01
        found.add(limits.remembered())
    assert max(found) == MOST_ADDRESSES


def test_addresses_beyond_those_that_are_remembered_share_a_limit(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits_module, "MOST_ADDRESSES", 2)
    limits = RefusalLimits(clock)
    for address in ("10.0.0.1", "10.0.0.2"):
        refused(limits, address, 1)
    assert refused(limits, "10.0.0.3", 40) + refused(limits, "10.0.0.4") == REFUSED_PER_MINUTE
    assert refused(limits, "10.0.0.1") == REFUSED_PER_MINUTE - 1
    clock.now += 60  # their buckets are full again, and forgotten
    assert refused(limits, "10.0.0.3") == refused(limits, "10.0.0.4") == REFUSED_PER_MINUTE
