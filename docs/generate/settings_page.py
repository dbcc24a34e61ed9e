"""Reference page of `project.yaml`, made from the pydantic models that check it."""

from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from tribute.config import Project, Settings

INTRODUCTION = """# project.yaml

A project is one YAML file. `tribute init DIR` writes a commented one that runs as it is. Relative paths are
relative to the file's folder. An unknown key is an error that names the nearest known key.

"""


def settings_page() -> str:
    """Every section of `project.yaml` with its keys, types, defaults and meanings."""
    sections = dict.fromkeys(_sections("Project", Project, ""))  # one section for models that several have
    return INTRODUCTION + "\n".join(sections) + "\n"


def _sections(title: str, model: type[Settings], path: str) -> Iterator[str]:
    plain, nested = [], []
    for name, field in model.model_fields.items():
        (nested if _models(field.annotation) and not _repeated(field) else plain).append((name, field))
    plain.sort(key=lambda item: item[0] != "kind")
    text = "\n".join(line.strip() for line in (model.__doc__ or "").strip().splitlines())
    rows = [_row(name, field) for name, field in plain]
    table = ["| key | type | default | meaning |", "|---|---|---|---|", *rows, ""] if rows else []
    yield "\n".join([f"## {title}\n", text + "\n", *table])
    for name, field in nested:
        models = _models(field.annotation)
        for one in models:
            kind = f" (kind: {_kind(one)})" if len(models) > 1 else ""
            yield from _sections(f"`{path}{name}`{kind}", one, f"{path}{name}.")


def _row(name: str, field: FieldInfo) -> str:
    meaning = (field.description or "").replace("|", "\\|")
    return f"| `{name}` | {_type(field)} | {_default(field)} | {meaning} |"


def _models(annotation: Any) -> list[type[Settings]]:
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        return [annotation]
    if get_origin(annotation) in (Annotated, Union, UnionType, tuple):
        return [model for part in get_args(annotation) for model in _models(part)]
    return []


def _repeated(field: FieldInfo) -> bool:
    return get_origin(field.annotation) is tuple


def _kind(model: type[Settings]) -> str:
    return str(get_args(model.model_fields["kind"].annotation)[0])


def _type(field: FieldInfo) -> str:
    limits = [_limit(each) for each in field.metadata]
    return ", ".join([_name(field.annotation), *(limit for limit in limits if limit)])


def _limit(constraint: Any) -> str:
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    shown = [f"{sign} {getattr(constraint, key)}" for key, sign in signs.items() if hasattr(constraint, key)]
    return " ".join(shown)


def _name(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return " or ".join(f"`{choice}`" for choice in get_args(annotation))
    if get_origin(annotation) in (Union, UnionType):
        parts = [part for part in get_args(annotation) if part is not type(None)]
        return " or ".join(_name(part) for part in parts)
    if get_origin(annotation) is tuple:
        return f"list of {_name(get_args(annotation)[0])}"
    if get_origin(annotation) is dict:
        return "mapping"
    if _models(annotation):
        return "mapping"
    names = {str: "text", int: "integer", float: "number", bool: "`true` or `false`", Path: "path"}
    return names.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True) if field.default is PydanticUndefined else field.default
    if value is None or value in ((), {}, ""):
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return f"`{list(value)}`"
    return f"`{value}`"
