"""The record of every access to money or a statement. It can only grow."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from tribute_jobs.service.access.caller import Caller
from tribute_jobs.service.access.store import AccessFile, moment_text

LONGEST = 1024
"""Characters of a text from outside that are kept."""


@dataclass(frozen=True)
class AuditEntry:
    """An access.

    Attributes:
        key_id: the prefix of the key that was shown, even if it was refused; empty without one.
        role: empty if nobody was recognised. `name` likewise.
        route: the template of the path, such as /v1/statements/{statement_id}.
        asked: the path and the query as they were sent.
        publisher_id: whose rows were asked for; empty: those of several. `period` and `statement_id` likewise.
        status: the HTTP status of the answer; 102: a change began; 499: the client went away before the answer.
        client: the address that the request came from.
    """

    key_id: str
    name: str
    role: str
    method: str
    route: str
    asked: str
    publisher_id: str
    period: str
    statement_id: str
    status: int
    client: str
    time: str = ""

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


class AuditLog:
    """All accesses to money or a statement."""

    def __init__(self, file: AccessFile) -> None:
        self._file = file

    def append(self, entry: AuditEntry) -> None:
        """Record an access. When this returns, the record survives a loss of power.

        Raises:
            MachineError: it cannot be written. Then the access must not be answered.
        """
        row = {name: _kept(value) for name, value in entry.plain().items()} | {"time": moment_text()}
        marks = ", ".join(f":{column}" for column in row)
        with self._file.transaction() as connection:
            connection.execute(f"insert into accesses ({', '.join(row)}) values ({marks})", row)

    def listed(
        self,
        period: str | None = None,
        publisher_id: str | None = None,
        key_id: str | None = None,
        since: str | None = None,
        most: int | None = None,
    ) -> list[AuditEntry]:
        """Accesses that fit all that is given, the newest first.

        Args:
            since: a moment as `moment_text` writes it.
            most: how many of them; None: all.
        """
        wanted = {"period = ?": period, "publisher_id = ?": publisher_id, "key_id = ?": key_id, "time >= ?": since}
        given = {condition: value for condition, value in wanted.items() if value is not None}
        names = [field.name for field in fields(AuditEntry)]
        rows = self._file.rows(
            f"select {', '.join(names)} from accesses where {' and '.join(['true', *given])} "
            f"order by id desc limit {-1 if most is None else int(most)}",
            *map(_kept, given.values()),
        )
        return [AuditEntry(**dict(row)) for row in rows]


def anonymous(key_id: str) -> Mapping[str, str]:
    """Who asked, if nobody was recognised."""
    return {"key_id": key_id, "name": "", "role": ""}


def known(caller: Caller) -> Mapping[str, str]:
    """Who asked."""
    return {"key_id": caller.key_id, "name": caller.name, "role": caller.role.value}


def _kept(value: object) -> object:
    """A text from outside, cut, and without halves of characters, which SQLite cannot store."""
    if not isinstance(value, str):
        return value
    return value.encode("utf-8", "backslashreplace").decode()[:LONGEST]
