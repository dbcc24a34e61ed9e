"""Shapes of documents, declared as data: which keys an object must have, and values of which kind."""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from operator import itemgetter
from typing import TypeAlias

from tribute.royalty.proof.strict_json import Problem

_LARGEST = 10**30
OTHER_RELEASE = "If another release of tribute wrote the file, verify it with that"
_RATIO = re.compile(r"-?\d{1,4000}(\.\d{1,4000}|/0*[1-9]\d{0,3999})?", re.ASCII)


@dataclass(frozen=True)
class Kind:
    """A value without parts."""

    said: str
    types: tuple[type, ...]
    pattern: re.Pattern[str] | None = None
    least: int | None = None
    """The smallest whole number; None where whole numbers have no limits."""

    def holds(self, value: object) -> bool:
        """Whether the value is of this kind."""
        if type(value) not in self.types:
            return False
        if self.least is not None and type(value) is int:
            return self.least <= value < _LARGEST
        return self.pattern is None or not isinstance(value, str) or self.pattern.fullmatch(value) is not None

    def all_hold(self, values: Collection[object]) -> bool:
        """Whether all of several values are of this kind."""
        if self.pattern is None and self.least is None:
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
            plain = bool(self._groups) and not (self.closed and len(value) != len(self.keys))
            return plain and all(kind.all_hold(get(value)) for kind, get in self._groups)
        except KeyError:
            return False

    @cached_property
    def _groups(self) -> list[tuple[Kind, Callable[[dict[str, object]], tuple[object, ...]]]]:
        """Every kind, with what takes its values out of an object; empty if some keys are of another shape."""
        names: dict[Kind, list[str]] = {}
        for key, part in self.keys.items():
            if self.optional or not isinstance(part, Kind):
                return []
            names.setdefault(part, []).append(key)
        return [(kind, itemgetter(*keys, keys[0])) for kind, keys in names.items()]


@dataclass(frozen=True)
class Choice:
    """An object of one of several shapes, told apart by what its key `key` says."""

    key: str
    shapes: Mapping[str, Record]


@dataclass(frozen=True)
class Rows:
    """A list of values of one shape."""

    row: "Shape"


@dataclass(frozen=True)
class Pair:
    """A list of exactly two values."""

    first: "Shape"
    second: "Shape"


Shape: TypeAlias = Kind | Record | Choice | Rows | Pair

_NUMBER = re.compile(r"-?\d{1,4000}(\.\d{1,4000})?", re.ASCII)

ANY = Kind("any value", (str, int, bool, type(None), dict, list))
NULL = Kind("null", (type(None),))
TEXT = Kind("text", (str,))
TEXT_OR_NULL = Kind("text or null", (str, type(None)))
INTEGER = Kind("a whole number of less than 31 digits", (int,), least=1 - _LARGEST)
COUNT = Kind("a whole number from 0, of less than 31 digits", (int,), least=0)
COUNT_OR_NULL = Kind("a whole number from 0, of less than 31 digits, or null", (int, type(None)), least=0)
RATIO = Kind("a number as text, such as 0.25 or 1/4", (str,), _RATIO)
RATIO_OR_NULL = Kind("a number as text, such as 0.25 or 1/4, or null", (str, type(None)), _RATIO)
NUMBER = Kind("a decimal number as text, such as -0.25", (str,), _NUMBER)
FLAG = Kind("true or false", (bool,))
MONTH = Kind("a month such as 2026-10", (str,), re.compile(r"\d{4}-(0[1-9]|1[0-2])", re.ASCII))
HASH = Kind("64 lower-case hexadecimal digits", (str,), re.compile(r"[0-9a-f]{64}"))
SIGNATURE = Kind("128 lower-case hexadecimal digits", (str,), re.compile(r"[0-9a-f]{128}"))
OBJECT = Kind("an object", (dict,))
OBJECT_OR_NULL = Kind("an object or null", (dict, type(None)))


def schema(name: str) -> Kind:
    """The name of one schema."""
    return Kind(repr(name), (str,), re.compile(re.escape(name)))


def one_of(*words: str) -> Kind:
    """One of some words."""
    return Kind(" or ".join(map(repr, words)), (str,), re.compile("|".join(map(re.escape, words))))


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
        case Pair():
            if not isinstance(value, list) or len(value) != 2:
                yield Problem(place or "document", f"is {_shown(value)}, expected a list of two values")
                return
            for index, part in enumerate((shape.first, shape.second)):
                yield from misshapen(value[index], part, f"{place}[{index}]")
        case Choice():
            if not isinstance(value, dict):
                yield Problem(place or "document", f"is {_shown(value)}, expected an object")
            elif isinstance(word := value.get(shape.key), str) and word in shape.shapes:
                yield from misshapen(value, shape.shapes[word], place)
            else:
                yield from misshapen(word, one_of(*shape.shapes), within(place, shape.key))
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
            yield Problem(within(place, key), f"is missing. {OTHER_RELEASE}")
        elif not (isinstance(part, Kind) and part.holds(value[key])):
            yield from misshapen(value[key], part, within(place, key))
    for key, part in shape.optional.items():
        if key in value:
            yield from misshapen(value[key], part, within(place, key))
    if shape.closed and len(value) > len(shape.keys):
        for key in value.keys() - shape.keys.keys() - shape.optional.keys():
            yield Problem(within(place, key), f"is an unknown key. {OTHER_RELEASE}")


def _shown(value: object) -> str:
    text = f"{type(value).__name__} {value!r}" if isinstance(value, str | int) else type(value).__name__
    return text if len(text) <= 60 else f"{text[:57]}..."
