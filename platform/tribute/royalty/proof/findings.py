"""What a verification found: a value to read, not an error that ends it."""

from collections.abc import Iterator
from typing import NamedTuple

OTHER_RELEASE = "If another release of tribute wrote the file, verify it with that release"


class Problem(NamedTuple):
    """A finding: its place, such as `statements[2].lines[0].amount_minor`, and a message that continues it."""

    place: str
    message: str


def within(place: str, key: str) -> str:
    """The place of a key of the object at `place`."""
    return f"{place}.{key}" if place else key


def differs(place: str, found: object, expected: object, why: str) -> Iterator[Problem]:
    """A problem if two values that must be equal are not."""
    if found != expected:
        yield Problem(place, f"is {shown(found)}, expected {shown(expected)}: {why}")


def shown(value: object) -> str:
    """A value as a message shows it: at most 80 characters."""
    text = str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
