"""Shapes of documents, declared as data: which keys an object must have, and values of which kind."""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from operator import itemgetter
from typing import TypeAlias

from tribute.royalty.strict_json import Problem

_LARGEST = 10**30
_RATIO = re.compile(r"-?\d{1,4000}(\.\d{1,4000}|/0*[1-9]\d{0,3999})?", re.ASCII)


@dataclass(frozen=True)
class Kind:
    """A value without parts."""

    said: str
    types: tuple[type, ...]
    pattern: re.Pattern[str] | None = None
    limited: bool = False

    def holds(self, value: object) -> bool:
        """Whether the value is of this kind."""
        if type(value) not in self.types:
            return False
        if self.limited and type(value) is int:
            return -_LARGEST < value < _LARGEST
        return self.pattern is None or not isinstance(value, str) or self.pattern.fullmatch(value) is not None

    def all_hold(self, values: Collection[object]) -> bool:
        """Whether all of several values are of this kind."""
        if self.pattern is None and not self.limited:
            return set(map(type, values)) <= set(self.types)
        return all(map(self.holds, values))


@dataclass(frozen=True)
class Record:
    """An object; a `closed` one has no other keys than these."""

    keys: Mapping[str, "Shape"]
    closed: bool = False
    optional: Mapping[str, "Shape"] = field(default_factory=dict)

    def surely_holds(self, value: dict[str, object]) -> bool:
        """Fast, for objects of plain values only; whatever it doubts must be looked at key by key."""
        try:
            return bool(self._groups) and all(kind.all_hold(get(value)) for kind, get in self._groups)
        except KeyError:
            return False

    @cached_property
    def _groups(self) -> list[tuple[Kind, Callable[[dict[str, object]], tuple[object, ...]]]]:
        """Every kind, with what takes its values out of an object; empty if some keys are of another shape."""
        names: dict[Kind, list[str]] = {}
        for key, part in self.keys.items():
            if self.closed or self.optional or not isinstance(part, Kind):
                return []
            names.setdefault(part, []).append(key)
        return [(kind, itemgetter(*keys, keys[0])) for kind, keys in names.items()]


@dataclass(frozen=True)
class Rows:
    """A list of values of one shape."""

    row: "Shape"


Shape: TypeAlias = Kind | Record | Rows

ANY = Kind("any value", (str, int, bool, type(None), dict, list))
TEXT = Kind("text", (str,))
INTEGER = Kind("a whole number of less than 31 digits", (int,), limited=True)
RATIO = Kind("a number as text, such as 0.25 or 1/4", (str,), _RATIO)
HASH = Kind("64 lower-case hexadecimal digits", (str,), re.compile(r"[0-9a-f]{64}"))
SIGNATURE = Kind("128 lower-case hexadecimal digits", (str,), re.compile(r"[0-9a-f]{128}"))
OBJECT = Record({})


def schema(name: str) -> Kind:
    """The name of one schema."""
    return Kind(repr(name), (str,), re.compile(re.escape(name)))


def misshapen(value: object, shape: Shape, place: str) -> Iterator[Problem]:
    """Every key that is missing or unknown and every value of another kind, each with its place."""
    match shape:
        case Kind():
            if not shape.holds(value):
                yield Problem(place or "document", f"is {_shown(value)}, expected {shape.said}")
        case Rows():
            if not isinstance(value, list):
                yield Problem(place or "document", f"is {_shown(value)}, expected a list")
                return
            for index, item in enumerate(value):
                yield from misshapen(item, shape.row, f"{place}[{index}]")
        case Record():
            if not isinstance(value, dict):
                yield Problem(place or "document", f"is {_shown(value)}, expected an object")
            elif not shape.surely_holds(value):
                yield from _of_record(value, shape, place)


def within(place: str, key: str) -> str:
    """The path of a key of the object at `place`."""
    return f"{place}.{key}" if place else key


def _of_record(value: dict[str, object], shape: Record, place: str) -> Iterator[Problem]:
    for key, part in shape.keys.items():
        if key not in value:
            yield Problem(within(place, key), "is missing")
        elif not (isinstance(part, Kind) and part.holds(value[key])):
            yield from misshapen(value[key], part, within(place, key))
    for key, part in shape.optional.items():
        if key in value:
            yield from misshapen(value[key], part, within(place, key))
    if shape.closed and len(value) > len(shape.keys):
        for key in value.keys() - shape.keys.keys() - shape.optional.keys():
            yield Problem(within(place, key), "is an unknown key")


def _shown(value: object) -> str:
    text = f"{type(value).__name__} {value!r}" if isinstance(value, str | int) else type(value).__name__
    return text if len(text) <= 60 else f"{text[:57]}..."
