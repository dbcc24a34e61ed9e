"""What two versions of a period move."""

from typing import Any

import pytest

from tribute.errors import MoneyError
from tribute.royalty.balance import Adjustment
from tribute.royalty.restatement import adjustments


def statement(
    publisher: str, earned: int, version: int, currency: str = "EUR", period: str = "2026-09"
) -> dict[str, Any]:
    return {
        "statement_id": f"demo-{period}-{publisher}-{currency}-v{version}",
        "publisher_id": publisher,
        "currency": currency,
        "period": period,
        "balance": {"royalty_earned_minor": earned},
    }


def test_differences_of_what_was_earned_become_adjustments() -> None:
    before = [statement("a", 100, 1), statement("b", 50, 1), statement("gone", 7, 1), statement("a", 9, 1, "JPY")]
    after = [statement("b", 50, 2), statement("a", 90, 2), statement("new", 17, 2), statement("a", 12, 2, "JPY")]
    moved = adjustments(before, after, "a source counted twice")
    assert {key: (each.adjusts_statement_id, each.amount_minor) for key, each in moved.items()} == {
        ("a", "EUR"): ("demo-2026-09-a-EUR-v1", -10),
        ("a", "JPY"): ("demo-2026-09-a-JPY-v1", 3),
        ("gone", "EUR"): ("demo-2026-09-gone-EUR-v1", -7),
        ("new", "EUR"): ("demo-2026-09-new-EUR-v2", 17),
    }
    assert moved["a", "EUR"] == Adjustment("a source counted twice", "demo-2026-09-a-EUR-v1", -10)


def test_what_is_no_restatement_is_refused() -> None:
    one = statement("a", 1, 1)
    with pytest.raises(MoneyError, match="has no reason"):
        adjustments([one], [one], " ")
    with pytest.raises(MoneyError, match="corrects one period, got 2026-09, 2026-10"):
        adjustments([one], [statement("a", 1, 2, period="2026-10")], "why")
    with pytest.raises(MoneyError, match="v1 and demo-2026-09-a-EUR-v3 are of one publisher and currency"):
        adjustments([one, statement("a", 1, 3)], [one], "why")
