"""Two periods: every difference in parts that sum to it, from statements of one source a publisher."""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction as F
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.statements import CERTIFICATE, draft, issue, line, publisher, revised
from tribute.errors import MoneyError
from tribute.royalty.division.policy import DEFAULT_POLICY, Policy
from tribute.royalty.document import Statement
from tribute.royalty.render.comparison import comparison_text
from tribute.royalty.statement.comparison import (
    Cause,
    Comparison,
    LineMove,
    PublisherMove,
    ValueChange,
    compare,
)
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


CAUSES = ("usage", "measurements", "prior", "values", "terms", "rounding")
UNTOLD = ValueChange()


def moves(told: Comparison) -> dict[str, tuple[int, int]]:
    """Values' and terms' part of each publisher's change."""
    return {each.publisher_id: (each.values_minor, each.terms_minor) for each in told.publishers}


def test_every_cause_takes_its_step_under_the_earlier_pool() -> None:
    """a: 2/3 -> 1/3 by usage -> 3/4 by measurements and back to 5/8 -> 1/2 by prior; pool 960 -> 1,200."""
    steps: list[tuple[Cause, dict[str, F]]] = [
        ("usage", {"a": F(1, 3), "b": F(2, 3)}),
        ("measurements", {"a": F(3, 4), "b": F(1, 4)}),
        ("measurements", {"a": F(5, 8), "b": F(3, 8)}),
        ("prior", {"a": F(1, 2), "b": F(1, 2)}),
    ]
    before, after = period("2026-09", 960, {"a": 2, "b": 1}), period("2026-10", 1200, {"a": 1, "b": 1})
    told = compare(before, after, ValueChange(tuple(steps), ("Found.",)))
    assert told.publishers == (
        PublisherMove(
            "b", "EUR", 320, 600, usage_minor=320, measurements_minor=-280, prior_minor=120, terms_minor=120
        ),
        PublisherMove(
            "a", "EUR", 640, 600, usage_minor=-320, measurements_minor=280, prior_minor=-120, terms_minor=120
        ),
    )
    assert told.causes_known
    assert told.notes == ("Found.", "Pool: 9.60 EUR before, 12.00 EUR after.")


def test_without_steps_values_and_terms_are_told_apart_by_the_earlier_policy() -> None:
    """The later values, 9 to 1, give a 540 of 600; by tokens it gets 300."""
    before, after = period("2026-09", 600, {"a": 2, "b": 1}), period("2026-10", 600, {"a": 9, "b": 1}, TOKENS)
    told = compare(before, after, UNTOLD)
    assert moves(told) == {"a": (140, -240), "b": (-140, 240)} and not told.causes_known
    assert told.notes[0].startswith("Policy: attribution-clip-aggregate version 3 (")
    assert told.notes[1] == "Basis paid: attribution before, token_count after."
    assert moves(compare(after, before, UNTOLD)) == {"a": (0, 100), "b": (0, -100)}


def test_a_publisher_without_sources_has_no_part_in_an_equal_division() -> None:
    equal = Policy("equal", basis="equal")
    idle = [
        revised(each, {"lines": []}) if each.publisher_id == "idle" else each
        for each in period("2026-10", 600, {"idle": 0, "a": 2, "b": 1})
    ]
    told = compare(period("2026-09", 600, {"a": 9, "b": 1}, equal), idle, UNTOLD)
    assert moves(told) == {"a": (0, 100), "b": (0, -100), "idle": (0, 0)}


def test_what_statements_do_not_tell_stands_under_terms() -> None:
    before, after = period("2026-09", 600, {"a": 9, "b": 1}, TOKENS), period("2026-10", 600, {"a": 2, "b": 1})
    reworded = [revised(each, {"policy.text": "Another release's words."}) for each in before]
    told = compare(reworded, after, UNTOLD)
    assert moves(told) == {"a": (0, 100), "b": (0, -100)}
    assert told.notes[-1].endswith("both stand under terms.")


shares = st.lists(st.integers(0, 50), min_size=3, max_size=3).filter(any)


@settings(max_examples=100, deadline=None)
@given(
    st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)),
    st.tuples(shares, shares),
    st.lists(st.tuples(st.sampled_from(["usage", "measurements", "prior"]), shares), max_size=5),
)
def test_parts_sum_to_the_difference(
    pools: tuple[int, int], values: tuple[list[int], list[int]], steps: list[tuple[Cause, list[int]]]
) -> None:
    """To the last minor unit; and what no step touches has no part."""
    names = (("a", "b", "gone"), ("a", "b", "new"))
    before, after = (
        period(month, pool, dict(zip(who, nats, strict=True)), Policy("p", fallback="equal", floor=F(1, 10)))
        for month, pool, who, nats in zip(("2026-09", "2026-10"), pools, names, values, strict=True)
    )
    way = [
        (cause, {name: F(part, sum(parts)) for name, part in zip("ab", parts, strict=False)})
        for cause, parts in steps
    ]
    told = compare(before, after, ValueChange(tuple(way)))
    for move in told.publishers:
        parts = {name: getattr(move, f"{name}_minor") for name in CAUSES}
        assert sum(parts.values()) == move.change_minor == move.after_minor - move.before_minor
        assert abs(parts["rounding"]) <= 4
        assert all(cause in dict(way) or not parts[cause] for cause in ("usage", "measurements", "prior"))
    assert sum(move.change_minor for move in told.publishers) == pools[1] - pools[0]


def test_lines_that_moved_came_and_went() -> None:
    before, after = period("2026-09", 900, {"a": 2, "b": 1}), period("2026-10", 900, {"a": 1, "c": 2})
    unattributed = draft().lines[-1].model_copy(update={"amount_minor": 0})
    after = [
        revised(each, {"lines": [*each.lines, unattributed]}) if each.publisher_id == "a" else each
        for each in after
    ]
    told = compare(before, after, UNTOLD)
    assert told.lines == (
        LineMove("c", "EUR", "c-docs", None, 600),
        LineMove("a", "EUR", "a-docs", 600, 300),
        LineMove("b", "EUR", "b-docs", 300, None),
        LineMove("a", "EUR", None, None, 0),
    )
    assert told.notes == (
        "Rights: other parts of b-docs, c-docs.",
        "New publishers: c.",
        "Gone publishers: b.",
    )


def test_notes_name_model_and_quality() -> None:
    changed = {"train_run": "train-2", "shrinkage": "0.25", "quality_certificate": CERTIFICATE}
    told = compare(period("2026-09", 9, {"a": 1}), period("2026-10", 9, {"a": 1}, **changed), UNTOLD)
    assert told.notes == (
        "Training run: train-1 before, train-2 after.",
        "Shrinkage: 0 before, 0.25 after.",
        "Quality: no certificate before, evaluate-0123456789ab (8.7% of the pool goes to another payee) after.",
    )


def test_the_text_of_a_comparison() -> None:
    before, after = period("2026-09", 90_000, {"a": 2, "b": 1}), period("2026-10", 120_000, {"a": 1, "c": 1})
    untold = compare(before, after, UNTOLD)
    assert comparison_text(untold) == (
        "From 2026-09 to 2026-10\n"
        "\n"
        "Publisher      Before       After   Change   Values    Terms  Rounding\n"
        "c            0.00 EUR  600.00 EUR  +600.00  +450.00  +150.00      0.00\n"
        "b          300.00 EUR    0.00 EUR  −300.00  −300.00     0.00      0.00\n"
        "a          600.00 EUR  600.00 EUR     0.00  −150.00  +150.00      0.00\n"
        "\n"
        "Appeared\n"
        "  c-docs  c  600.00 EUR\n"
        "\n"
        "Vanished\n"
        "  b-docs  b  300.00 EUR\n"
        "\n"
        "Notes\n"
        "  Rights: other parts of b-docs, c-docs.\n"
        "  New publishers: c.\n"
        "  Gone publishers: b.\n"
        "  Pool: 900.00 EUR before, 1,200.00 EUR after.\n"
    )
    known = comparison_text(replace(untold, causes_known=True))
    assert "   Change  Usage  Measurements  Prior    Terms  Rounding\n" in known


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(MoneyError, match="The earlier side of a comparison is one period, got none"):
        compare([], period("2026-09", 9, {"a": 1}), UNTOLD)
