"""The layout that DESIGN and STYLE promise: import roots, sizes, names."""

import ast
import importlib
import importlib.util
import platform
import statistics
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(p for top in ("platform", "jobs", "storage") for p in (ROOT / top).rglob("*.py"))
BANNED = {"utils", "helpers", "common", "manager", "misc"}


def functions() -> list[tuple[int, str]]:
    found = []
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                found.append((lines, f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"))
    return found


@pytest.mark.parametrize("root", ["platform", "jobs", "storage"])
def test_import_roots_are_not_packages(root: str) -> None:
    assert not (ROOT / root / "__init__.py").exists()


def test_standard_library_platform_is_found_from_the_repository_root() -> None:
    standard = str(Path(sysconfig.get_paths()["stdlib"]) / "platform.py")
    assert importlib.util.find_spec("platform").origin == platform.__file__ == standard
    found = subprocess.run(
        [sys.executable, "-c", "import platform; print(platform.__file__)"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == standard


def test_files_are_short() -> None:
    lengths = sorted(len(path.read_text().splitlines()) for path in SOURCES if path.name != "__init__.py")
    assert statistics.median(lengths) <= 150
    assert lengths[int(0.9 * (len(lengths) - 1))] < 300


def test_functions_are_short() -> None:
    found = functions()
    assert statistics.median(lines for lines, _ in found) <= 12
    assert [name for lines, name in found if lines > 60] == []


def test_names_say_what_a_file_is_about() -> None:
    assert [str(path) for path in SOURCES if path.stem in BANNED] == []


def test_public_names_exist_and_are_documented() -> None:
    undocumented = []
    for path in SOURCES:
        tree = ast.parse(path.read_text())
        if tree.body and not ast.get_docstring(tree):
            undocumented.append(f"{path.relative_to(ROOT)}: module")
        for node in tree.body:
            public = isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
            if public and not ast.get_docstring(node):
                undocumented.append(f"{path.relative_to(ROOT)}: {node.name}")
    assert undocumented == []


def test_every_class_name_is_defined_once() -> None:
    defined: dict[str, list[str]] = {}
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                defined.setdefault(node.name, []).append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert {name: places for name, places in defined.items() if len(places) > 1} == {}


def test_names_imported_on_first_use_are_not_names_of_modules() -> None:
    """Else the name would mean the module as soon as somebody had imported that."""
    hidden = []
    for path in SOURCES:
        if path.name == "__init__.py" and "__getattr__" in path.read_text():
            package = importlib.import_module(".".join(path.relative_to(ROOT).parts[1:-1]))
            modules = {each.stem for each in path.parent.iterdir()}
            hidden += [f"{package.__name__}.{name}" for name in modules & {*package.__all__}]
    assert hidden == []
