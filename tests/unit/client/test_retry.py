"""Pauses between tries: they grow, keep what the service asks for, and end."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tribute.client.retry import Backoff, retry_after


@given(st.integers(1, 200), st.floats(0, 1), st.floats(0, 100))
def test_a_pause_is_bounded_and_keeps_what_is_asked(failures: int, draw: float, asked: float) -> None:
    backoff = Backoff(retries=200, first_s=0.5, longest_s=8, draw=lambda: draw)
    pause = backoff.pause(failures, asked)
    assert pause is not None
    most = min(0.5 * 2 ** (failures - 1), 8)
    assert most / 2 <= pause - asked + 1e-9
    assert pause - asked <= most + 1e-9


def test_the_last_retry_and_a_pause_that_is_too_long_end_it() -> None:
    backoff = Backoff(retries=2, most_asked_s=60)
    assert [backoff.pause(failures) is None for failures in (1, 2, 3)] == [False, False, True]
    assert backoff.pause(1, 61) is None
    assert Backoff(retries=0).pause(1) is None


@pytest.mark.parametrize(
    ("value", "seconds"), [("7", 7.0), (" 0 ", 0.0), ("soon", None), ("-1", None), ("1.5", None), (None, None)]
)
def test_seconds_to_wait_are_read(value: str | None, seconds: float | None) -> None:
    assert retry_after(value) == seconds


def test_a_date_to_wait_for_is_read() -> None:
    later = datetime.now(UTC) + timedelta(seconds=50)
    found = retry_after(format_datetime(later, usegmt=True))
    assert found is not None
    assert 45 < found <= 50
    assert retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0
