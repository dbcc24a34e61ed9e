"""YAML without its guesses: numbers as JSON writes them, `true`, `false` and `null`; all else is text.

YAML 1.1 reads `010000` as 4096, `12:30` as 750, `no` as false and `2026-10-01` as a date. Here they are text.
"""

import math
import re
from collections.abc import Callable
from typing import Any

import yaml

from tribute.files.encoding import decoded
from tribute.ids import short, short_words

_NOTHING = frozenset(("", "~", "null", "Null", "NULL"))
_TRUTH = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_WHOLE = re.compile(r"-?(0|[1-9][0-9]*)")
_REAL = re.compile(r"-?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]{1,3})?")
_LONGEST = 40
"""Characters of a number."""


class _Plain(yaml.SafeLoader):
    """Nodes of a document without tags and aliases, which can change what a reader sees or how long it reads."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent):
            raise _problem(
                event, f"the alias *{short(str(event.anchor))} stands for another value. Write the value itself"
            )
        if getattr(event, "tag", None) is not None:
            raise _problem(
                event, f"the tag {short(str(event.tag))} changes how a value is read. Remove it; quotes make text"
            )
        node: yaml.Node | None = super().compose_node(parent, index)
        if isinstance(node, yaml.ScalarNode):
            node.value = _whole(node)
        return node


def _whole(node: yaml.ScalarNode) -> str:
    """The text of a node. Two halves of a character, as JSON escapes it, are one character.

    Raises:
        yaml.MarkedYAMLError: there is one half alone.
    """
    text: str = node.value
    if not any("\ud800" <= character <= "\udfff" for character in text):
        return text
    try:
        return text.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        raise _problem(node, "a text holds half a character (a lone surrogate). Remove it") from None


def yaml_value(content: bytes) -> Any:
    """The value of a document: mappings, lists, text, numbers, true, false and None.

    Raises:
        ValueError: not YAML in UTF-8 or UTF-16, a key that stands twice, an alias, a tag, or a number without end;
            names the line.
    """
    return _read(content, _typed)


def yaml_rows(content: bytes) -> list[dict[str, str | None]]:
    """A list of mappings, with every cell as the text that was written; empty and null cells are None.

    Raises:
        ValueError: as `yaml_value`, or no list of mappings with a text or number in each cell.
    """
    rows = _read(content, _as_text)
    if rows is None:
        return []
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError("not a list of mappings. Write one `- source_id: ...` per row")
    for number, row in enumerate(rows, 1):
        for name, cell in row.items():
            if isinstance(cell, list | dict):
                raise ValueError(
                    f"entry {number}, column {short(name)} holds several values. Write one text or number"
                )
    return rows


def _read(content: bytes, scalar: Callable[[yaml.ScalarNode], Any]) -> Any:
    reader = None
    try:
        reader = _Plain(decoded(content))
        node = reader.get_single_node()
        return None if node is None else _value(node, scalar)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}: " if mark else ""
        raise ValueError(f"{where}{short_words(str(error.problem or error.context))}") from None
    except yaml.YAMLError as error:
        raise ValueError(short_words(str(error))) from None
    except RecursionError:
        raise ValueError("its values are nested too deeply. Write it with fewer levels") from None
    finally:
        if reader is not None:
            reader.dispose()


def _value(node: yaml.Node, scalar: Callable[[yaml.ScalarNode], Any]) -> Any:
    if isinstance(node, yaml.SequenceNode):
        return [_value(each, scalar) for each in node.value]
    if isinstance(node, yaml.ScalarNode):
        return scalar(node)
    found: dict[str, Any] = {}
    lines: dict[str, int] = {}
    for key, item in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise _problem(key, "a key is a list or a mapping. Keys are text")
        line = key.start_mark.line + 1
        before = lines.setdefault(key.value, line)
        if key.value in found:
            raise _problem(
                key, f"the key {short(key.value)} stands in line {before} already. Remove one of the two"
            )
        found[key.value] = _value(item, scalar)
    return found


def _typed(node: yaml.ScalarNode) -> Any:
    text: str = node.value
    if node.style is not None:
        return text
    if text in _NOTHING:
        return None
    if text in _TRUTH:
        return _TRUTH[text]
    if not _REAL.fullmatch(text):
        return text
    if len(text) > _LONGEST or not math.isfinite(float(text)):
        raise _problem(node, f"the number {text[:12]}... is too long or too large. Text goes in quotes")
    return int(text) if _WHOLE.fullmatch(text) else float(text)


def _as_text(node: yaml.ScalarNode) -> str | None:
    text: str = node.value
    return None if node.style is None and text in _NOTHING else text


def _problem(place: yaml.Node | yaml.Event, text: str) -> yaml.MarkedYAMLError:
    mark: Any = place.start_mark
    return yaml.MarkedYAMLError(problem=text, problem_mark=mark)


def yaml_line(key: str, value: object) -> str:
    """A key and its value as YAML on one line: `valuation: {budget: 9}`."""
    return str(yaml.safe_dump({key: value}, default_flow_style=True, sort_keys=False, width=10**6)).strip()[1:-1]
