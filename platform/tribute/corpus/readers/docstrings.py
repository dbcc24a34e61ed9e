"""Documentation in files: docstrings of Python modules (without importing them), and prose."""

import ast
import re
import warnings
from collections import deque
from collections.abc import Iterator

PROSE_SUFFIXES = {".md", ".rst", ".txt"}

DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
BLOCKS = {"body", "handlers", "orelse", "finalbody", "cases"}
"""Fields of a syntax tree's nodes that hold statements, or parts with statements."""

# Texts in a distribution that are not documentation of its project, and test data.
SKIPPED = re.compile(
    r"(^|/)(tests?|testing|_vendor|vendor|_vendored|thirdparty|third_party|node_modules|__pycache__|site-packages"
    r"|licenses?)(/|$)|(licen[cs]e|copying|notice|authors|requirements|top_level|entry_points|sources|record"
    r"|grammar|words|robots|constraints|dependencies)[^/]*$",
    re.IGNORECASE,
)


def is_documentation(path: str) -> bool:
    """Whether a file of a distribution may hold documentation."""
    suffix = "." + path.rpartition(".")[2]
    return (suffix == ".py" or suffix in PROSE_SUFFIXES) and not SKIPPED.search(path)


def is_skipped_folder(name: str) -> bool:
    """Whether nothing in a folder of this name is documentation."""
    return SKIPPED.search(f"{name}/") is not None


def documentation(path: str, content: bytes) -> str:
    """Docstrings of a module, or the text of a prose file; empty if there is none or the file is unreadable."""
    try:
        text = content.decode("utf-8")
        return _docstrings(text) if path.endswith(".py") else text.strip()
    except (UnicodeDecodeError, SyntaxError, ValueError, RecursionError):
        return ""


def _docstrings(code: str) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = ast.parse(code)
    texts = [ast.get_docstring(node) for node in _statements(tree) if isinstance(node, DOCUMENTED)]
    return "\n\n".join(text.strip() for text in texts if text and text.strip())


def _statements(tree: ast.Module) -> Iterator[ast.AST]:
    """The module and its statements, in the order of `ast.walk`; expressions hold no statements."""
    waiting: deque[ast.AST] = deque([tree])
    while waiting:
        node = waiting.popleft()
        yield node
        for name in node._fields:
            if name in BLOCKS:
                waiting.extend(getattr(node, name))
