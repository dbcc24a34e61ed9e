"""The values that a document may hold: whole numbers, exact numbers as text, months, hashes. No float."""

from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, FailFast, Field

from tribute.royalty.exact.canonical import encoded

_LARGEST = 10**30
_DIGITS = "[0-9]{1,4000}"

Item = TypeVar("Item")
Rows = Annotated[tuple[Item, ...], Field(strict=False), FailFast()]
"""A list in JSON, a tuple in Python. Validation stops at the first invalid item, so a hostile file of a million
invalid items cannot exhaust memory with errors."""

Minor = Annotated[int, Field(gt=-_LARGEST, lt=_LARGEST)]
"""Whole minor units of a currency, of fewer than 31 digits; may be below 0."""
Count = Annotated[int, Field(ge=0, lt=_LARGEST)]
"""A whole number from 0, of fewer than 31 digits."""
Ratio = Annotated[str, Field(pattern=rf"^-?{_DIGITS}(\.{_DIGITS}|/0*[1-9][0-9]{{0,3999}})?$")]
"""An exact number as text: `0.25` or `1/4`."""
Nats = Annotated[str, Field(pattern=rf"^-?{_DIGITS}(\.{_DIGITS})?$")]
"""An exact decimal number of nats as text: `-0.25`."""
Month = Annotated[str, Field(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])$")]
Day = Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
"""32 bytes as lower-case hexadecimal digits: a SHA-256 hash or an Ed25519 public key."""
Signature = Annotated[str, Field(pattern=r"^[0-9a-f]{128}$")]
"""An Ed25519 signature as lower-case hexadecimal digits."""


class ExactModel(BaseModel):
    """A part of a document: immutable, without unknown keys, and without any conversion of values."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)

    def plain(self) -> dict[str, Any]:
        """The document as JSON holds it: dicts, lists, text, whole numbers, true, false and null."""
        return self.model_dump(mode="json", by_alias=True)

    def canonical(self) -> bytes:
        """The canonical JSON of the document: the bytes that are hashed and signed.

        Raises:
            MoneyError: text that UTF-8 cannot hold.
        """
        return encoded(self.plain())
