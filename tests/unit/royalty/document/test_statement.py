"""The model of a statement: the golden bytes come back unchanged, and nothing is converted or ignored."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tribute.errors import MoneyError
from tribute.royalty.document import Statement, read_statement

GOLDEN = Path(__file__).parents[3] / "golden"


def golden_lines() -> Iterator[str]:
    for path in sorted(GOLDEN.glob("*.json")):
        yield from path.read_text().splitlines()


@pytest.fixture
def document() -> dict[str, Any]:
    return json.loads(next(golden_lines()))


def test_golden_statements_keep_their_bytes() -> None:
    lines = list(golden_lines())
    assert lines
    for line in lines:
        assert read_statement(line).canonical() == line.encode()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("amount_minor", 1.0),
        ("amount_minor", "1"),
        ("amount_minor", True),
        ("amount_minor", 10**30),
        ("share", 0.5),
        ("share", "0.5\n"),
        ("share", "1/0"),
        ("share", "\u0661"),
        ("payable_nats", "1e3"),
        ("period", "2026-13"),
        ("schema", "tribute.statement/1"),
        ("statement_version", -1),
        ("lines", {}),
        ("extra", None),
    ],
)
def test_a_value_of_another_kind_is_refused(document: dict[str, Any], key: str, value: object) -> None:
    with pytest.raises(MoneyError, match=key):
        read_statement(json.dumps({**document, key: value}))


def test_a_missing_key_is_refused(document: dict[str, Any]) -> None:
    for key in document.keys() - {"repetition"}:
        with pytest.raises(MoneyError, match=key):
            read_statement(json.dumps({name: value for name, value in document.items() if name != key}))


def test_a_statement_cannot_be_changed(document: dict[str, Any]) -> None:
    statement = Statement.model_validate(document)
    with pytest.raises(ValidationError, match="frozen"):
        statement.amount_minor = 0  # type: ignore[misc]


def test_absent_keys_stay_absent(document: dict[str, Any]) -> None:
    statement = Statement.model_validate(document)
    assert "proof" not in statement.plain()
    earlier = {name: value for name, value in document.items() if name != "repetition"}
    assert read_statement(json.dumps(earlier)).plain() == earlier
    assert statement.unproven() is statement
