"""The same inputs give the same statements, byte for byte, in currencies of 2, 0 and 3 decimals."""

import json

import pytest

from tests.golden.statement_cases import HERE, POOLS, expected_files


@pytest.mark.parametrize("name", expected_files())
def test_statements_are_as_recorded(name: str) -> None:
    assert expected_files()[name] == (HERE / name).read_text(encoding="utf-8")


@pytest.mark.parametrize(("currency", "pool"), [("eur", 1_000_000), ("jpy", 1_000_001), ("kwd", 3_210_987)])
def test_recorded_amounts_sum_to_the_pool(currency: str, pool: int) -> None:
    """Read from the files alone, as an auditor would."""
    statements = [json.loads(line) for line in (HERE / f"statement_{currency}.json").read_text().splitlines()]
    assert sum(statement["amount_minor"] for statement in statements) == pool
    for statement in statements:
        assert sum(line["amount_minor"] for line in statement["lines"]) == statement["amount_minor"]
        assert statement["currency_exponent"] == len(POOLS[currency][0].partition(".")[2])
