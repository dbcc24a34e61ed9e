"""The science takes plain arguments and settings sections; the catalog alone reads the project file for it."""

import ast
from pathlib import Path

import pytest

PLATFORM = Path(__file__).parents[2] / "platform" / "tribute"
ROOMS = ["corpus", "estimators", "evaluation", "readout", "simulation", "tasks", "training", "valuation"]


@pytest.mark.parametrize("room", ROOMS)
def test_science_takes_no_project(room: str) -> None:
    found = [
        f"{path.relative_to(PLATFORM)}:{node.lineno}"
        for path in sorted((PLATFORM / room).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and {"Project", "load_project"} & {alias.name for alias in node.names}
    ]
    assert found == []
