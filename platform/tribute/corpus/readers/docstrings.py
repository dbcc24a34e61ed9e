"""Documentation out of files: the docstrings of Python modules (nothing is imported), and prose as it is."""

import ast
import re
import warnings

PROSE_SUFFIXES = {".md", ".rst", ".txt"}

# Texts that are in a distribution without being its project's prose, and tests' data.
SKIPPED = re.compile(
    r"(^|/)(tests?|testing|_vendor|vendor|_vendored|thirdparty|third_party|node_modules|__pycache__|site-packages"
    r"|licenses?)(/|$)|(licen[cs]e|copying|notice|authors|requirements|top_level|entry_points|sources|record"
    r"|grammar|words|robots|constraints|dependencies)[^/]*$",
    re.IGNORECASE,
)


def is_documentation(path: str) -> bool:
    """Whether a file of a distribution may hold its project's documentation."""
    suffix = "." + path.rpartition(".")[2]
    return (suffix == ".py" or suffix in PROSE_SUFFIXES) and not SKIPPED.search(path)


def documentation(path: str, content: bytes) -> str:
    """The docstrings of a module, or a prose file's text; empty if there is none or it cannot be read."""
    try:
        text = content.decode("utf-8")
        return _docstrings(text) if path.endswith(".py") else text.strip()
    except (UnicodeDecodeError, SyntaxError, ValueError, RecursionError):
        return ""


def _docstrings(code: str) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = ast.parse(code)
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    found = [ast.get_docstring(node) for node in ast.walk(tree) if isinstance(node, kinds)]
    return "\n\n".join(text.strip() for text in found if text and text.strip())
