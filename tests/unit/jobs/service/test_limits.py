"""Token buckets, with a clock that stands still until told."""

import pytest

from tribute_jobs.service.access.caller import Caller, Role
from tribute_jobs.service.access.limits import BURST_S, RateLimits
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
