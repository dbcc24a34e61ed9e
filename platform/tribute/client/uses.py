"""Uses of a model as a caller gives them, and as the service reads them."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from operator import index
from typing import SupportsFloat, SupportsIndex

from tribute.errors import TributeError
from tribute.files import nearest_name
from tribute.ids import checked_id, excerpt


@dataclass(frozen=True)
class ModelUse:
    """One use of a model. Text models take `text` and its `prompt`; classifiers `features` and their `label`.

    Attributes:
        text: what is measured: what the model wrote.
        prompt: what it was given before: context, which is not measured. Default: none.
        query_id: unique per use; a repeated id is recorded once. Default: the client makes one.
        time: of the use, with its offset from UTC. Default: when the service records it.
        weight: how much the use counts.
    """

    text: str | None = None
    features: Sequence[SupportsFloat] | None = None
    label: SupportsIndex | None = None
    query_id: str | None = None
    time: datetime | str | None = None
    customer_id: str | None = None
    weight: float = 1.0
    prompt: str | None = None


UseLike = str | Mapping[str, object] | ModelUse
"""A text, the fields of a `ModelUse`, or one."""
Uses = UseLike | Iterable[UseLike]
_FIELDS = tuple(field.name for field in fields(ModelUse))


@dataclass(frozen=True)
class WrittenUse:
    """A use as JSON, and its id."""

    query_id: str
    json: bytes


def written(uses: Uses, key: str) -> list[WrittenUse]:
    """Uses as JSON. One without an id gets it from the key and its place, so that a repeated call repeats it.

    Raises:
        TributeError: a field is unknown or cannot be written, or an id stands twice; names the use.
    """
    found, places = list[WrittenUse](), dict[str, int]()
    for place, use in enumerate(_each(uses)):
        try:
            one = _written(use, f"{key}-{place}")
        except (TypeError, ValueError, OverflowError) as error:
            raise TributeError(f"Query {place + 1}: {error}") from None
        if one.query_id in places:
            raise TributeError(
                f"Queries {places[one.query_id] + 1} and {place + 1} have the same query_id "
                f"{excerpt(one.query_id)}. Give each use its own, and send each use once"
            )
        places[one.query_id] = place
        found.append(one)
    return found


def pieces(uses: Sequence[WrittenUse], most: int, most_bytes: int) -> Iterator[tuple[int, int]]:
    """Where to cut: [start, end) of each request, of at most so many uses and bytes, but at least one use."""
    start, size = 0, 0
    for place, use in enumerate(uses):
        if place > start and (place - start == most or size + len(use.json) > most_bytes):
            yield start, place
            start, size = place, 0
        size += len(use.json)
    if start < len(uses):
        yield start, len(uses)


def use_fields(use: UseLike) -> dict[str, object]:
    """The fields of a use that JSON can write; those at their default are left out.

    Raises:
        TypeError, ValueError, OverflowError: an unknown field, or one that cannot be written.
    """
    one = _model_use(use)
    found: dict[str, object] = {"query_id": None if one.query_id is None else _id("query_id", one.query_id)}
    for name, text in (("prompt", one.prompt), ("text", one.text)):
        if text is not None and not isinstance(text, str):
            raise TypeError(f"{name} is {excerpt(text)}, expected text")
        found[name] = text
    found["features"] = None if one.features is None else [_number(value) for value in one.features]
    found["label"] = None if one.label is None else index(one.label)
    found["time"] = _time(one.time)
    found["customer_id"] = None if one.customer_id is None else _id("customer_id", one.customer_id)
    found["weight"] = None if one.weight == 1 else _number(one.weight)
    return {name: value for name, value in found.items() if value is not None}


def _each(uses: Uses) -> Iterable[UseLike]:
    if isinstance(uses, str | Mapping | ModelUse):
        return (uses,)
    return uses


def _written(use: UseLike, name: str) -> WrittenUse:
    found = use_fields(use)
    query_id = str(found.setdefault("query_id", name))
    return WrittenUse(query_id, json.dumps(found, allow_nan=False, separators=(",", ":")).encode())


def _model_use(use: UseLike) -> ModelUse:
    if isinstance(use, ModelUse):
        return use
    if isinstance(use, str):
        return ModelUse(text=use)
    if not isinstance(use, Mapping):
        raise TypeError(f"is {excerpt(use)}, expected a text, a mapping or a ModelUse")
    unknown = [name for name in use if name not in _FIELDS]
    if unknown:
        raise ValueError(f"unknown field {excerpt(unknown[0])}. {nearest_name(str(unknown[0]), _FIELDS)}")
    return ModelUse(**use)  # type: ignore[arg-type]  # checked field by field when it is written


def _id(name: str, value: object) -> str:
    try:
        return checked_id(value)
    except ValueError as error:
        raise ValueError(f"{name} {error}") from None


def _number(value: object) -> float:
    if isinstance(value, str | bytes | bool) or not isinstance(value, SupportsFloat):
        raise TypeError(f"{excerpt(value)} is not a number")
    return float(value)


def _time(time: datetime | str | None) -> str | None:
    if isinstance(time, datetime):
        if time.utcoffset() is None:
            raise ValueError(
                f"time is {time.isoformat()}, expected a time with its offset from UTC: "
                "datetime.now(UTC), or time.replace(tzinfo=...)"
            )
        return time.isoformat()
    return time
