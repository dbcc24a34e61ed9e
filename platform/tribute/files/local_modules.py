"""Modules of a task's own that lie beside `project.yaml`.

The folder of the project is the last place where Python looks: the standard library, installed packages, the
folders of PYTHONPATH and the current folder come first. A process works on one project at a time.
"""

import importlib
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path


class _ProjectFolder(str):
    """An entry of `sys.path` that was added here."""

    __slots__ = ()


def search_beside(folder: Path | None) -> None:
    """Let imports find the modules of a project's folder, in place of those of another's. None: no change."""
    if folder is None or str(folder) in sys.path:
        return
    for other in [entry for entry in sys.path if isinstance(entry, _ProjectFolder)]:
        sys.path.remove(other)
        _forget(Path(other))
    sys.path.append(_ProjectFolder(folder))
    importlib.invalidate_caches()


def _forget(folder: Path) -> None:
    """Forget the modules of a folder, so that those of the same names in another are imported."""
    tops = {name for name, module in sys.modules.items() if "." not in name and _lies_in(folder, module)}
    for name in [name for name in sys.modules if name.partition(".")[0] in tops]:
        del sys.modules[name]


def _lies_in(folder: Path, module: object) -> bool:
    """Whether a module is a file of the folder, or a package of which the folder holds a part."""
    file, parts = getattr(module, "__file__", None), getattr(module, "__path__", ())
    places = [Path(each) for each in parts] or ([Path(file)] if file else [])
    return any(place.parent == folder for place in places)


def unused_file(module: str, folder: Path | None) -> str:
    """A warning where a module beside `project.yaml` is not what its name imports; else empty."""
    top = module.partition(".")[0]
    places = [] if folder is None else [folder / f"{top}.py", folder / top / "__init__.py"]
    own = next((place for place in places if place.is_file()), None)
    spec = _spec(top)
    if own is None or spec is None or (spec.origin and Path(spec.origin).resolve() == own.resolve()):
        return ""
    return (
        f"The module {top} is {spec.origin or 'that of the standard library'}: {own} is not used, since installed "
        "modules, those on PYTHONPATH and in the current folder come first. If you mean the file, rename it"
    )


def _spec(top: str) -> ModuleSpec | None:
    found = (finder.find_spec(top, None) for finder in sys.meta_path if hasattr(finder, "find_spec"))
    return next(filter(None, found), None)
