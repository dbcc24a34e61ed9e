"""Packages stay small: narrow folders, short classes, no import circles."""

import ast
from collections import Counter
from graphlib import TopologicalSorter

import grimp

from tests.architecture.test_layout import ROOT, SOURCES


def test_no_folder_is_wide() -> None:
    modules = Counter(path.parent.relative_to(ROOT) for path in SOURCES if path.name != "__init__.py")
    assert {str(folder): width for folder, width in modules.items() if width > 15} == {}


def test_no_imports_form_a_circle() -> None:
    """Imports for type checking count: whoever reads one module of a circle has to read them all."""
    graph = grimp.build_graph("tribute", "tribute_jobs", "tribute_storage", cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    TopologicalSorter(imports).prepare()  # raises CycleError, which names the circle


def test_no_class_is_long() -> None:
    classes = {
        f"{path.relative_to(ROOT)}: {node.name}": (node.end_lineno or node.lineno) - node.lineno + 1
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
    }
    assert {name: lines for name, lines in classes.items() if lines > 150} == {}
