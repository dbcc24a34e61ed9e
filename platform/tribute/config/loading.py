"""Loader of `project.yaml`, with readable error messages."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from tribute.config.project import Project
from tribute.config.section import Settings
from tribute.errors import ConfigError, itemised
from tribute.files import nearest_name, yaml_value
from tribute.ids import excerpt, short


def load_project(path: Path) -> Project:
    """Read and check `project.yaml`. A value has the type that it is written in: nothing is converted.

    Raises:
        ConfigError: the file is missing, is not YAML, holds a key twice, or has unknown keys or invalid values;
            lists all of them; or a file stands where the working folder or the lake should.
    """
    if not path.is_file():
        raise ConfigError(f"{path} does not exist. Write one with: tribute init DIR")
    try:
        raw = yaml_value(path.read_bytes())
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read: {error.strerror}. Correct the path or its permissions"
        ) from None
    except ValueError as error:
        raise ConfigError(f"{path} is not valid YAML: {error}") from None
    if not isinstance(raw, dict):
        raise ConfigError(
            f"{path} must hold settings (`name: ...`), got {type(raw).__name__}. Write one with: tribute init DIR"
        )
    try:
        project = Project.model_validate(raw)
    except ValidationError as error:
        problems = [_explain(item, raw) for item in error.errors()]
        raise ConfigError(itemised(f"{path} has {len(problems)} problem(s):", problems)) from None
    folder = path.resolve().parent
    resolved: Project = _resolve(project, folder)
    resolved = resolved.model_copy(update={"task": resolved.task.beside(folder)})
    misplaced = [*_misplaced("workdir", resolved.workdir)]
    if resolved.lake is not None and "://" not in resolved.lake:
        misplaced += _misplaced("lake", Path(resolved.lake))
    if misplaced:
        raise ConfigError(itemised(f"{path} has {len(misplaced)} problem(s):", misplaced))
    return resolved


def _misplaced(key: str, folder: Path) -> Iterator[str]:
    """The problem of a folder that cannot be made, where a file stands in its way."""
    files = [each for each in (folder, *folder.parents) if each.is_file()]
    if files:
        yield f"{key}: {files[0]} is a file. Name a folder, or a place where one can be made"


def _explain(item: Any, raw: dict[str, Any]) -> str:
    kinds = {"installed_docs", "text", "arrays", "idx", "held_out", "usage", "ingested"}
    where = [str(part) for part in item["loc"]]
    key = ".".join(short(part) for index, part in enumerate(where) if not (index and part in kinds))
    if item["type"] == "extra_forbidden":
        return f"{key}: unknown key. {nearest_name(where[-1], _known_keys(where[:-1], raw))}"
    if item["type"] == "union_tag_invalid":
        return f"{key}.kind: {excerpt(item['ctx']['tag'])} is none of {item['ctx']['expected_tags']}"
    if item["type"] == "string_pattern_mismatch":
        return (
            f"{key}: {_shown(item['input'])} must be of letters, digits, '.', '_' and '-', a letter or digit first"
        )
    if item["type"].endswith(("_type", "_parsing", "_from_float")):
        return f"{key}: {item['msg']}, got {_shown(item['input'])}"
    text: str = item["msg"].removeprefix("Value error, ")
    return f"{key}: {text}" if key else text


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return short(text)


def _known_keys(where: list[str], raw: Any) -> list[str]:
    """Known keys of the section at a place of the file."""
    section: Any = Project
    for part in where:
        field = getattr(section, "model_fields", {}).get(part)
        if field is not None:
            section, raw = field.annotation, raw.get(part, {})
    options = [each for each in get_args(section) or (section,) if hasattr(each, "model_fields")]
    kind = raw.get("kind") if isinstance(raw, dict) else None
    chosen = [each for each in options if kind in get_args(_annotation_of_kind(each))]
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
        elif name == "tokenizer" and isinstance(value, str):
            changes[name] = _tokenizer(value, base)
        elif isinstance(value, tuple) and value and isinstance(value[0], Path):
            changes[name] = tuple(base / each.expanduser() for each in value)
    return section.model_copy(update=changes)


def _tokenizer(name: str, base: Path) -> str:
    """A tokenizer's folder as a path; the id of one on a hub as it is."""
    folder = base / Path(name).expanduser()
    return str(folder) if folder.exists() or name.startswith((".", "/", "~")) else name
