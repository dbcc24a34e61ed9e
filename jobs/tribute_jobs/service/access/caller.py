"""Who asks."""

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What a key may do."""

    OPERATOR = "operator"
    INGEST = "ingest"
    PUBLISHER = "publisher"


@dataclass(frozen=True)
class Caller:
    """Who sent a request.

    Attributes:
        key_id: the prefix of the key; that of `LOCAL` without one.
        name: what the operator calls the key.
        publisher_id: whose rows a caller of role publisher may see; None for other roles.
        requests_per_minute: the key's own limit; None: that of project.yaml. `queries_per_minute` likewise.
        csrf_token: what a page of this caller sends with every change; None: the caller has no session.
    """

    key_id: str
    name: str
    role: Role
    publisher_id: str | None = None
    requests_per_minute: int | None = None
    queries_per_minute: int | None = None
    csrf_token: str | None = None


LOCAL = Caller("local", "this machine", Role.OPERATOR)
"""Everybody on this machine, as long as nobody has made a key. No prefix is as short as its key id."""
