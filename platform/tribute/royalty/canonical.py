"""The bytes of a statement that are hashed: one text for one content."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from tribute.errors import MoneyError


def canonical_json(statement: Mapping[str, Any]) -> bytes:
    """UTF-8 JSON with sorted keys and no spaces: the same content gives the same bytes.

    Raises:
        MoneyError: a float, or anything else that JSON cannot hold exactly; names its place.
    """
    _check(statement, "statement")
    text = json.dumps(statement, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode()


def statement_sha256(statement: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical JSON, in hexadecimal."""
    return hashlib.sha256(canonical_json(statement)).hexdigest()


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
