"""The list of benchmarks holds every benchmark, and is printed where none is named."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmarks import run
from tests.benchmarks.run import BENCHMARKS

FOLDER = Path(run.__file__).parent
OTHERS = {"run", "stale", "chaos"}
"""Programs that measure nothing, and the part of `scaling` that is a process of its own."""


def starts(path: Path) -> bool:
    """Whether a module is a program: it has a function `main`, or takes it from another one."""
    names = set[str]()
    for node in ast.parse(path.read_text()).body:
        names |= {node.name} if isinstance(node, ast.FunctionDef) else set()
        names |= {each.name for each in node.names} if isinstance(node, ast.ImportFrom) else set()
    return "main" in names


def test_every_benchmark_has_an_entry() -> None:
    modules = {path.stem: path for path in FOLDER.glob("*.py")}
    modules |= {path.parent.name: path for path in FOLDER.glob("*/__init__.py")}
    assert {name for name, path in modules.items() if starts(path)} - OTHERS == set(BENCHMARKS)


def test_without_a_name_the_list_is_printed(
    capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["run.py"])
    monkeypatch.setattr(sys, "path", list(sys.path))
    run.main()
    lines = capsys.readouterr().out.splitlines()
    for name, each in BENCHMARKS.items():
        [line] = [line for line in lines if line.startswith(f"{name} ")]
        assert line.split()[1] == ("–" if each.minutes is None else str(each.minutes))


def test_an_unknown_name_says_which_there_are() -> None:
    done = subprocess.run([sys.executable, run.__file__, "lakes"], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == f"No benchmark lakes. There are: {', '.join(BENCHMARKS)}, and all\n"
