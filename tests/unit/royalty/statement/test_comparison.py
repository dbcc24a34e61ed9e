"""Two periods: every difference in parts that sum to it, from statements of one source a publisher."""

from decimal import Decimal
from fractions import Fraction as F
from typing import Any

import pytest

from tests.statements import CERTIFICATE, draft, issue, line, publisher, revised
from tribute.errors import MoneyError
from tribute.royalty.division.policy import DEFAULT_POLICY, Policy
from tribute.royalty.document import Statement
from tribute.royalty.render.comparison import comparison_text
from tribute.royalty.statement.comparison import Comparison, LineMove, PublisherMove, compare
from tribute.royalty.statement.inputs import Pool

TOKENS = Policy("tokens", basis="token_count")


def period(
    month: str, pool: int, values: dict[str, int], policy: Policy = DEFAULT_POLICY, **changes: Any
) -> list[Statement]:
    """Statements of publishers with one source each, all of equal tokens, paid by `policy`."""
    publishers = [
        publisher(name, [line(f"{name}-docs", str(value), "0", 10, title=name, uses=1)])
        for name, value in values.items()
    ]
    made = issue(publishers, [Pool("main", "EUR", pool)], month, policy=policy, shrinkage=Decimal(0))
    return [revised(each, changes) for each in made]


def moves(told: Comparison) -> dict[str, tuple[int, int]]:
    """Policy's and values' part of each publisher's change."""
    return {each.publisher_id: (each.policy_minor, each.value_minor) for each in told.publishers}


def test_pool_and_values_are_told_apart() -> None:
    """Pool 900 -> 1,200; a's share 2/3 -> 1/2: +200 by the pool, -200 by values."""
    told = compare(period("2026-09", 900, {"a": 2, "b": 1}), period("2026-10", 1200, {"a": 1, "b": 1}))
    assert told.publishers == (
        PublisherMove("b", "EUR", 300, 600, 100, 0, 200, 0),
        PublisherMove("a", "EUR", 600, 600, 200, 0, -200, 0),
    )
    assert (told.before, told.after, told.notes) == ("2026-09", "2026-10", ())


def test_a_change_of_policy_is_told_apart_with_the_policy() -> None:
    """By tokens, the old values give 1/2 each: -100 by policy for a, nothing by values."""
    before, after = period("2026-09", 600, {"a": 2, "b": 1}), period("2026-10", 600, {"a": 9, "b": 1}, TOKENS)
    told = compare(before, after, TOKENS)
    assert [(m.publisher_id, m.policy_minor, m.value_minor) for m in told.publishers] == [
        ("a", -100, 0),
        ("b", 100, 0),
    ]
    assert told.notes[0].startswith("Policy: attribution-clip-aggregate version 2 (")
    assert told.notes[1] == "Basis paid: attribution before, token_count after."
    back = compare(after, before, DEFAULT_POLICY).publishers[0]
    assert (back.policy_minor, back.value_minor) == (240, -140), "9/10 under the old values, then 2/3"


def test_a_publisher_without_sources_has_no_part_in_an_equal_division() -> None:
    equal = Policy("equal", basis="equal")
    idle = [
        revised(each, {"lines": []}) if each.publisher_id == "idle" else each
        for each in period("2026-09", 600, {"idle": 0, "a": 2, "b": 1})
    ]
    told = compare(idle, period("2026-10", 600, {"a": 9, "b": 1}, equal), equal)
    assert {move.publisher_id: move.policy_minor for move in told.publishers} == {"a": -100, "b": 100, "idle": 0}


def test_without_the_policy_its_part_and_the_values_stand_together() -> None:
    told = compare(period("2026-09", 600, {"a": 2, "b": 1}), period("2026-10", 600, {"a": 9, "b": 1}, TOKENS))
    assert [(move.policy_minor, move.value_minor) for move in told.publishers] == [(-100, 0), (100, 0)]
    assert told.notes[-1].endswith("both stand under policy.")


@pytest.mark.parametrize("pools", [(1000, 1000), (100, 101), (0, 7), (7, 0), (99_999, 12_345)])
def test_parts_sum_to_the_difference(pools: tuple[int, int]) -> None:
    before = period("2026-09", pools[0], {"a": 3, "b": 3, "c": 1, "gone": 2})
    after = period("2026-10", pools[1], {"a": 5, "b": 1, "c": -1, "new": 7}, Policy("p", cap=F(2, 3)))
    for told in (compare(before, after), compare(before, after, Policy("p", cap=F(2, 3)))):
        for move in told.publishers:
            parts = (move.pool_minor, move.policy_minor, move.value_minor, move.rounding_minor)
            assert sum(parts) == move.change_minor == move.after_minor - move.before_minor
            assert abs(move.rounding_minor) <= 3
        assert sum(move.change_minor for move in told.publishers) == pools[1] - pools[0]


def test_lines_that_moved_came_and_went() -> None:
    before, after = period("2026-09", 900, {"a": 2, "b": 1}), period("2026-10", 900, {"a": 1, "c": 2})
    unattributed = draft().lines[-1].model_copy(update={"amount_minor": 0})
    after = [
        revised(each, {"lines": [*each.lines, unattributed]}) if each.publisher_id == "a" else each
        for each in after
    ]
    told = compare(before, after)
    assert told.lines == (
        LineMove("c", "EUR", "c-docs", None, 600),
        LineMove("a", "EUR", "a-docs", 600, 300),
        LineMove("b", "EUR", "b-docs", 300, None),
        LineMove("a", "EUR", None, None, 0),
    )
    assert told.notes == ("New publishers: c.", "Gone publishers: b.")


def test_notes_name_model_and_quality() -> None:
    changed = {"train_run": "train-2", "shrinkage": "0.25", "quality_certificate": CERTIFICATE}
    told = compare(period("2026-09", 9, {"a": 1}), period("2026-10", 9, {"a": 1}, **changed))
    assert told.notes == (
        "Training run: train-1 before, train-2 after.",
        "Shrinkage: 0 before, 0.25 after.",
        "Quality: no certificate before, evaluate-0123456789ab (8.7% of the pool goes to another payee) after.",
    )


def test_the_text_of_a_comparison() -> None:
    before, after = period("2026-09", 90_000, {"a": 2, "b": 1}), period("2026-10", 120_000, {"a": 1, "c": 1})
    assert comparison_text(compare(before, after)) == (
        "From 2026-09 to 2026-10\n"
        "\n"
        "Publisher      Before       After   Change     Pool  Policy    Value  Rounding\n"
        "c            0.00 EUR  600.00 EUR  +600.00     0.00    0.00  +600.00      0.00\n"
        "b          300.00 EUR    0.00 EUR  −300.00  +100.00    0.00  −400.00      0.00\n"
        "a          600.00 EUR  600.00 EUR     0.00  +200.00    0.00  −200.00      0.00\n"
        "\n"
        "Appeared\n"
        "  c-docs  c  600.00 EUR\n"
        "\n"
        "Vanished\n"
        "  b-docs  b  300.00 EUR\n"
        "\n"
        "Notes\n"
        "  New publishers: c.\n"
        "  Gone publishers: b.\n"
    )


def test_what_cannot_be_compared_is_refused() -> None:
    september = period("2026-09", 9, {"a": 1})
    with pytest.raises(MoneyError, match="The earlier side of a comparison is one period, got none"):
        compare([], september)
    with pytest.raises(MoneyError, match="Policy tokens version 1 is not the policy of the later period"):
        compare(september, september, TOKENS)
