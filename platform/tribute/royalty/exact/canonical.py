"""The bytes of a document that are hashed and signed: one text for one content."""

import json
from collections.abc import Collection, Mapping
from typing import Any

from tribute.errors import MoneyError

_SCALARS = {str, int, bool, type(None)}
_TEXT = {str}
_encode = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def canonical_json(document: Mapping[str, Any]) -> bytes:
    """UTF-8 JSON with sorted keys and no spaces: the same content gives the same bytes.

    Raises:
        MoneyError: a float, or anything else that JSON cannot hold exactly; names its place.
    """
    if not _is_plain(document):
        _check(document, "statement")
    return encoded(document)


def encoded(value: object) -> bytes:
    """Canonical JSON of a value that JSON is known to hold exactly.

    Raises:
        MoneyError: text that UTF-8 cannot hold.
    """
    try:
        return _encode(value).encode()
    except UnicodeEncodeError as error:
        raise MoneyError(
            f"Half of a surrogate pair ({error.object[error.start]!a}) is not text. Read the file as UTF-8 first"
        ) from None


def _is_plain(value: object) -> bool:
    """A fast check by exact types that names no places; `_check` decides what fails it."""
    if type(value) is dict:
        return set(map(type, value)) <= _TEXT and _are_plain(value.values())
    return _are_plain(value) if type(value) is list else type(value) in _SCALARS


def _are_plain(values: Collection[object]) -> bool:
    return set(map(type, values)) <= _SCALARS or all(map(_is_plain, values))


def _check(value: object, place: str) -> None:
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                raise MoneyError(f"{place} has the key {key!r}. Keys are text")
            _check(item, f"{place}.{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _check(item, f"{place}[{index}]")
    elif not (value is None or isinstance(value, str | int)):
        raise MoneyError(
            f"{place} is a {type(value).__name__} ({value!r}). Write whole numbers as int and others as text"
        )
