"""A statement's fields, its fallbacks and its range of amounts."""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest

from tests.golden.statement_cases import line, publishers, settled
from tribute.errors import MoneyError
from tribute.royalty import Money, PeriodFacts, build_statements, canonical_json

FACTS = PeriodFacts(
    "demo", "2026-10", Money(1_000_000, "EUR"), Decimal("0.25"), "value-1", "simulate-1", "train-1"
)


def test_the_header_names_the_period_and_the_runs() -> None:
    first = build_statements(FACTS, publishers())[0]
    assert first["statement_id"] == "demo-2026-10-aurora-v1"
    assert (first["period_start"], first["period_end"]) == ("2026-10-01", "2026-10-31")
    assert (first["value_run"], first["simulate_run"], first["train_run"]) == ("value-1", "simulate-1", "train-1")
    assert (first["status"], first["supersedes_statement_id"]) == ("draft", None)
    assert (first["share"], first["share_percent"]) == ("5/6", "83.3333")


def test_the_order_of_the_inputs_changes_no_byte() -> None:
    mixed = [replace(publisher, lines=publisher.lines[::-1]) for publisher in reversed(publishers())]
    assert list(map(canonical_json, build_statements(FACTS, mixed))) == list(
        map(canonical_json, build_statements(FACTS, publishers()))
    )


def test_signed_attribution_stays_when_nothing_is_paid() -> None:
    blog = settled("eur")[0]["lines"][-1]
    assert (blog["attribution_signed_nats"], blog["attribution_payable_nats"], blog["amount_minor"]) == (
        "-2.25",
        "0",
        0,
    )


def test_the_range_of_amounts_moves_one_publisher() -> None:
    """Borealis: 5.5 to 11 nats beside 41.25 of the others; Cassini: 0.25 at best beside 49.5."""
    _, borealis, cassini = (statement["interval"] for statement in settled("eur"))
    assert borealis["amount_low_minor"] == round(Fraction(1_000_000) * Fraction("5.5") / Fraction("46.75"))
    assert borealis["amount_high_minor"] == round(Fraction(1_000_000) * 11 / Fraction("52.25"))
    assert (cassini["amount_low_minor"], cassini["amount_high_minor"]) == (
        0,
        round(Fraction(250_000) / Fraction("49.75")),
    )


def test_a_single_publisher_is_sure_of_the_pool() -> None:
    [only] = build_statements(FACTS, [replace(publishers()[0], share=Fraction(1))])
    assert only["interval"]["amount_low_minor"] == only["interval"]["amount_high_minor"] == 1_000_000


def test_without_payable_value_tokens_are_paid_and_no_range_is_claimed() -> None:
    lines = (line("big", "-1", "1", 300), line("small", "-2", "1", 100))
    negative = replace(publishers()[2], share=Fraction(1), lines=lines)
    [statement] = build_statements(FACTS, [negative])
    assert statement["pool"]["allocation_basis"] == "token_count"
    assert "amount_low" not in statement["interval"]
    assert [row["amount_minor"] for row in statement["lines"]] == [750_000, 250_000]


def test_a_publisher_without_sources_gets_a_statement_of_no_activity() -> None:
    idle = replace(publishers()[2], publisher_id="idle", lines=())
    statement = build_statements(FACTS, [*publishers(), idle])[-1]
    assert (statement["amount_minor"], statement["lines"], statement["totals"]["line_count"]) == (0, [], 0)


def test_money_without_a_source_is_refused() -> None:
    with pytest.raises(MoneyError, match="no source to stand on"):
        build_statements(FACTS, [replace(publishers()[0], share=Fraction(1), lines=())])
