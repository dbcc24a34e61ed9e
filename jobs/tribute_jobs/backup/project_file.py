"""Settings of a project.yaml changed in place: every other letter, comments too, stays as it is."""

import json
from collections.abc import Iterator, Sequence

import yaml

from tribute.files import yaml_value
from tribute.files.encoding import decoded
from tribute_jobs.backup.manifest import ChangedSetting


def with_settings(content: bytes, changes: Sequence[ChangedSetting]) -> bytes:
    """The content of a project.yaml with other values of some settings, each said in a comment at the top.

    Raises:
        ValueError: a setting is not there; or it cannot be changed without changing another.
    """
    text = decoded(content)
    places = dict(_scalars(yaml.compose(text)))
    absent = [change.key for change in changes if change.key not in places]
    if absent:
        raise ValueError(f"it has no {', '.join(absent)}")
    for change in sorted(changes, key=lambda each: places[each.key], reverse=True):
        begin, end = places[change.key]
        text = text[:begin] + json.dumps(change.now) + text[end:]
    said = "".join(f"# Restored from a backup: {each.key} was {json.dumps(each.was)}\n" for each in changes)
    changed = (said + text).encode()
    now = dict(_values(yaml_value(changed)))
    if now != dict(_values(yaml_value(content))) | {change.key: change.now for change in changes}:
        raise ValueError("a changed setting would change another one too")
    return changed


def _scalars(node: yaml.Node | None, key: str = "") -> Iterator[tuple[str, tuple[int, int]]]:
    """Key and place of every value that is no section."""
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            yield from _scalars(value, f"{key}.{name.value}".lstrip("."))
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            yield from _scalars(value, f"{key}.{number}")
    elif node is not None:
        yield key, (node.start_mark.index, node.end_mark.index)


def _values(value: object, key: str = "") -> Iterator[tuple[str, object]]:
    if isinstance(value, dict | list):
        for name, each in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _values(each, f"{key}.{name}".lstrip("."))
    else:
        yield key, value
