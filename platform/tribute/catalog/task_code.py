"""What a task consists of, by content: code of one's own, or versions and commit of a Hugging Face model.

The code is the task's module, and the user's own modules among those that it imports.

Modules are found and read, not run. Imports by other ways (`importlib`, a path put together at run time) are not
seen; their effect on `build` is, because the model that it builds is hashed too.
"""

import ast
import sys
import sysconfig
from collections.abc import Callable, Iterator
from importlib.machinery import ModuleSpec
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tribute.config import TaskSettings
from tribute.errors import ConfigError
from tribute.files.digests import file_sha256
from tribute.files.hub import hub_commit

OURS = frozenset(("tribute", "tribute_jobs", "tribute_storage"))
"""Packages of the release, whose code is nobody's own."""
HUGGINGFACE = "huggingface"
"""Name of the task."""
LIBRARIES = ("transformers", "peft")
"""Libraries whose code is the model's."""


def task_code(module: str, sha256: Callable[[Path], str] = file_sha256) -> dict[str, str]:
    """SHA-256 of a module's file and of the user's own modules that it imports, directly or not, by name.

    The user's own are those of the module's own package, and those outside the standard library and the installed
    packages. Empty for a module without a file, such as that of a notebook.
    """
    found, waiting = dict[str, str](), list(_with_packages(module))
    while waiting:
        name = waiting.pop()
        path = _file(name) if name not in found else None
        if path is not None and _is_own(name, path, module):
            found[name] = sha256(path)
            waiting += _imported(name, path)
    return dict(sorted(found.items()))


def pretrained_parts(task: TaskSettings) -> dict[str, str]:
    """Versions of the libraries, and the commit of a model that is named by its hub id.

    Raises:
        ConfigError: a library is missing; or the commit is unknown.
    """
    used = LIBRARIES if task.options.get("adapter") else LIBRARIES[:1]
    try:
        parts = {name: version(name) for name in used}
    except PackageNotFoundError as error:
        raise ConfigError(
            f"Task {HUGGINGFACE} needs the package {error.name}. Install it: pip install 'tribute[hf]'"
        ) from None
    model = task.options.get("model")
    if isinstance(model, str) and model and not Path(task.located(model)).exists():
        parts["model commit"] = hub_commit(model, task.options.get("revision"))
    return parts


def _is_own(name: str, path: Path, module: str) -> bool:
    top = name.partition(".")[0]
    if top in OURS:
        return False
    folders, library = path.resolve().parents, Path(sysconfig.get_path("stdlib")).resolve()
    installed = any(folder.name in ("site-packages", "dist-packages") for folder in folders)
    return top == module.partition(".")[0] or not (installed or library in folders)


def _file(name: str) -> Path | None:
    """The source file of a module; None if there is none, or no such module."""
    spec = _spec(name)
    origin = spec.origin if spec is not None and spec.has_location else None
    return Path(origin) if origin and origin.endswith(".py") else None


def _spec(name: str) -> ModuleSpec | None:
    """Where a module lies. Unlike `importlib.util.find_spec`, it runs no package on the way."""
    spec, known = None, ""
    for part in name.split("."):
        places = spec.submodule_search_locations if spec is not None else None
        if known and places is None:
            return None
        known = f"{known}.{part}".lstrip(".")
        found = (finder.find_spec(known, places) for finder in sys.meta_path if hasattr(finder, "find_spec"))
        spec = next(filter(None, found), None)
        if spec is None:
            return None
    return spec


def _imported(name: str, path: Path) -> Iterator[str]:
    """Names that a module imports. Some are not modules but functions or classes in one."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return  # Python refuses it in its own words when the task is built
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for each in node.names:
                yield from _with_packages(each.name)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package.split(".")[: len(package.split(".")) - node.level + 1]) if node.level else ""
            origin = ".".join(filter(None, (base, node.module)))
            yield from _with_packages(origin)
            yield from (f"{origin}.{each.name}" for each in node.names)


def _with_packages(name: str) -> Iterator[str]:
    """A module and the packages around it, which are run when it is imported."""
    parts = name.split(".")
    yield from (".".join(parts[:count]) for count in range(1, len(parts) + 1) if name)
