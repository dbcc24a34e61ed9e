"""The royalty rules compute in integers, fractions and decimals."""

import ast
from pathlib import Path

import pytest

ROYALTY = Path(__file__).parents[2] / "platform" / "tribute" / "royalty"
PICTURES = {"chart.py"}


@pytest.mark.parametrize(
    "path", sorted(p for p in ROYALTY.rglob("*.py") if p.name not in PICTURES), ids=lambda p: p.name
)
def test_no_float_enters_the_royalty_rules(path: Path) -> None:
    found = [
        node.lineno
        for node in ast.walk(ast.parse(path.read_text()))
        if (isinstance(node, ast.Constant) and isinstance(node.value, float))
        or (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "float")
    ]
    assert found == []
