"""Loader of `project.yaml`, with readable error messages."""

import difflib
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import ValidationError

from tribute.config.project import Project
from tribute.config.section import Settings
from tribute.errors import ConfigError


def load_project(path: Path) -> Project:
    """Read and check `project.yaml`.

    Raises:
        ConfigError: the file is missing, is not YAML, or has unknown keys or invalid values; lists all of them.
    """
    if not path.is_file():
        raise ConfigError(f"{path} does not exist. Write one with: tribute init DIR")
    try:
        raw = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not valid YAML: {error}") from None
    if not isinstance(raw, dict):
        raise ConfigError(
            f"{path} must hold settings (`name: ...`), got {type(raw).__name__}. Write one with: tribute init DIR"
        )
    try:
        project = Project.model_validate(raw)
    except ValidationError as error:
        lines = "\n".join(f"  {_explain(item, raw)}" for item in error.errors())
        raise ConfigError(f"{path} has {error.error_count()} problem(s):\n{lines}") from None
    resolved: Project = _resolve(project, path.resolve().parent)
    return resolved


def _explain(item: Any, raw: dict[str, Any]) -> str:
    kinds = {"installed_docs", "text", "arrays", "idx", "held_out", "usage", "ingested"}
    where = [str(part) for part in item["loc"]]
    key = ".".join(part for index, part in enumerate(where) if not (index and part in kinds))
    if item["type"] != "extra_forbidden":
        return f"{key}: {item['msg']}"
    known = _known_keys(where[:-1], raw)
    near = difflib.get_close_matches(where[-1], known, n=1)
    return f"{key}: unknown key. " + (f"Did you mean `{near[0]}`?" if near else f"Known here: {', '.join(known)}")


def _known_keys(where: list[str], raw: dict[str, Any]) -> list[str]:
    section: Any = Project
    for part in where:
        field = getattr(section, "model_fields", {}).get(part)
        if field is not None:
            section, raw = field.annotation, raw.get(part, {})
    options = get_args(section) or (section,)
    chosen = [o for o in options if raw.get("kind") in get_args(_annotation_of_kind(o))]
    return sorted((chosen or options)[0].model_fields)


def _annotation_of_kind(section: type[Settings]) -> Any:
    field = section.model_fields.get("kind")
    return field.annotation if field else None


def _resolve(section: Any, base: Path) -> Any:
    changes: dict[str, Any] = {}
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, Settings):
            changes[name] = _resolve(value, base)
        elif isinstance(value, Path):
            changes[name] = base / value.expanduser()
        elif name == "lake" and isinstance(value, str) and "://" not in value:
            changes[name] = str(base / Path(value).expanduser())
        elif isinstance(value, tuple) and value and isinstance(value[0], Path):
            changes[name] = tuple(base / each.expanduser() for each in value)
    return section.model_copy(update=changes)
