"""Where each byte of a canonical document stands, found by writing it out: the oracle for places in findings."""

import json
from collections.abc import Iterator
from typing import Any


def spans(value: object, path: str = "", start: int = 0) -> Iterator[tuple[int, int, str]]:
    """First byte, byte after the last, and path of every value in canonical JSON, the innermost last."""
    yield start, start + len(_bytes(value)), path
    at = start + 1
    if isinstance(value, dict):
        for key in sorted(value):
            inner = f"{path}.{key}" if path else key
            yield at, at + len(_bytes(key)) + 1, inner
            at += len(_bytes(key)) + 1
            yield from spans(value[key], inner, at)
            at += len(_bytes(value[key])) + 1
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from spans(item, f"{path}[{index}]", at)
            at += len(_bytes(item)) + 1


def _bytes(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def paths_by_byte(document: dict[str, Any]) -> list[str]:
    """Path of every byte of a document."""
    found = [""] * len(_bytes(document))
    for start, end, path in spans(document):
        found[start:end] = [path] * (end - start)
    return found


def unit_of(path: str) -> str:
    """What a change must at least be blamed on: a line, a statement without its lines, or a key of the bundle."""
    steps = path.replace("[", ".[").split(".")
    if steps[0] != "statements":
        return steps[0]
    return "".join(steps[:2]) + ("." + "".join(steps[2:4]) if steps[2:3] == ["lines"] else "")


def names(place: str, path: str, offset: int) -> bool:
    """Whether a finding names the place: its byte, or a path in the line, statement or key that it is part of."""
    if place.startswith("byte "):
        number, _, path_at = place.removeprefix("byte ").partition(", ")
        return abs(int(number) - offset) <= 64 or path_at.startswith(unit_of(path))
    return place == "document" or place.startswith(unit_of(path)) or unit_of(path).startswith(place)
