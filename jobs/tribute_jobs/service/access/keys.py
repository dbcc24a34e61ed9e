"""API keys: made from random bytes, shown once, stored as their hash, revoked for good."""

import hashlib
import hmac
import re
import secrets
import sqlite3
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from threading import Lock
from typing import Any

from tribute.errors import ConfigError
from tribute.ids import checked_id, excerpt, short
from tribute_jobs.service.access.caller import Caller, Role
from tribute_jobs.service.access.store import AccessFile, moment_text

FRESH_S = 2.0
"""How long a service trusts what it last read of the keys: a key that is revoked works for at most this long."""
MARKED_S = 60.0
"""`last_used` is this exact, so that a request does not write to disk."""
LONGEST_NAME = 100
HIGHEST_LIMIT = 10**9
"""Requests or queries a minute."""
_FORM = re.compile(r"trb_([0-9a-f]{8})_[0-9a-f]{64}")
_PREFIX = re.compile(r"[0-9a-f]{8}")


@dataclass(frozen=True)
class ApiKey:
    """A key as it is listed; the key itself is not stored anywhere.

    Attributes:
        prefix: the visible part, by which a key is named.
        requests_per_minute: its own limit; None: that of project.yaml. `queries_per_minute` likewise.
    """

    prefix: str
    name: str
    role: Role
    publisher_id: str | None
    requests_per_minute: int | None
    queries_per_minute: int | None
    created: str
    revoked: str | None = None
    last_used: str | None = None

    def caller(self) -> Caller:
        """Who sends requests with this key."""
        return Caller(
            self.prefix,
            self.name,
            self.role,
            self.publisher_id,
            requests_per_minute=self.requests_per_minute,
            queries_per_minute=self.queries_per_minute,
        )

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def prefix_of(text: str) -> str:
    """The visible part of a key; empty if the text does not look like one."""
    found = _FORM.fullmatch(text)
    return found[1] if found else ""


class Keys:
    """The keys of a project.

    Args:
        clock: seconds, which only grow.
    """

    def __init__(self, file: AccessFile, clock: Callable[[], float] = time.monotonic) -> None:
        self._file, self._clock, self._reading, self._marking = file, clock, Lock(), Lock()
        self._known: dict[str, tuple[ApiKey, str]] = {}
        self._read_at, self._marked = -FRESH_S, dict[str, float]()

    def create(
        self,
        name: str,
        role: Role,
        publisher_id: str | None = None,
        requests_per_minute: int | None = None,
        queries_per_minute: int | None = None,
    ) -> tuple[ApiKey, str]:
        """Make a key: how it is listed, and the key, which nothing can show again.

        Raises:
            ConfigError: no name; a publisher without the role, or the other way round; a limit below 1.
        """
        name = _checked(name, role, publisher_id, requests_per_minute, queries_per_minute)
        while True:
            # The prefix is drawn apart from the secret, so it tells nothing about it.
            prefix = secrets.token_hex(4)
            text = f"trb_{prefix}_{secrets.token_bytes(32).hex()}"
            key = ApiKey(prefix, name, role, publisher_id, requests_per_minute, queries_per_minute, moment_text())
            row = {**key.plain(), "digest": _digest(text)}
            marks = ", ".join(f":{column}" for column in row)
            try:
                with self._file.transaction() as connection:
                    connection.execute(f"insert into keys ({', '.join(row)}) values ({marks})", row)
            except sqlite3.IntegrityError:  # the prefix is taken
                continue
            self._forget()
            return key, text

    def listed(self) -> list[ApiKey]:
        """All keys, those that were revoked included, the oldest first."""
        return [key for key, _ in self._rows()]

    def revoke(self, prefix: str) -> tuple[ApiKey, bool]:
        """Make a key useless for good, and end its sessions: the key, and whether this call did it.

        Raises:
            ConfigError: no key has this prefix.
        """
        if _PREFIX.fullmatch(prefix):
            with self._file.transaction() as connection:
                done = connection.execute(
                    "update keys set revoked = ? where prefix = ? and revoked is null", (moment_text(), prefix)
                )
                connection.execute("delete from sessions where prefix = ?", (prefix,))
            self._forget()
            for key in self.listed():
                if key.prefix == prefix:
                    return key, done.rowcount == 1
        raise ConfigError(
            f"No key has the prefix {excerpt(prefix)}. It has 8 characters, the second part of the key. "
            "tribute keys list PROJECT.yaml shows all"
        )

    def key_of(self, text: str) -> ApiKey | None:
        """The key that a caller showed, unless it is unknown or revoked; see `FRESH_S`."""
        key, digest = self._recent().get(prefix_of(text), (None, ""))
        # Compared in constant time, though a hash already hides how much of a key was right.
        return key if key and not key.revoked and hmac.compare_digest(_digest(text), digest) else None

    def active(self, prefix: str) -> ApiKey | None:
        """The key of a prefix, unless it is unknown or revoked; see `FRESH_S`."""
        key, _ = self._recent().get(prefix, (None, ""))
        return key if key and not key.revoked else None

    def any_active(self) -> bool:
        """Whether somebody can show a key."""
        return any(not key.revoked for key, _ in self._recent().values())

    def never_made(self) -> bool:
        """Whether nobody ever made a key. Revoking the last one does not open the service again."""
        return not self._recent()

    def needs_mark(self, prefix: str) -> bool:
        """Whether `mark_used` is due; says so once in `MARKED_S`."""
        with self._marking:
            due = self._clock() - self._marked.get(prefix, -MARKED_S) >= MARKED_S
            if due:
                self._marked[prefix] = self._clock()
            return due

    def mark_used(self, prefix: str) -> None:
        """Note that a key is in use."""
        with self._file.transaction() as connection:
            connection.execute("update keys set last_used = ? where prefix = ?", (moment_text(), prefix))

    def must_read(self) -> bool:
        """Whether the next question reads the file, and so belongs in no event loop."""
        return self._clock() - self._read_at >= FRESH_S

    def _recent(self) -> dict[str, tuple[ApiKey, str]]:
        """All keys by prefix, read at most `FRESH_S` ago. An unknown key makes nobody read the file."""
        if self.must_read():
            with self._reading:  # whoever waited here finds that another thread has read
                if self.must_read():
                    now = self._clock()
                    self._known = {key.prefix: (key, digest) for key, digest in self._rows()}
                    self._read_at = now
        return self._known

    def _rows(self) -> list[tuple[ApiKey, str]]:
        found = [dict(row) for row in self._file.rows("select * from keys order by created, prefix")]
        return [
            (ApiKey(**{**row, "role": Role(row["role"])}), digest)
            for row in found
            if (digest := row.pop("digest"))
        ]

    def _forget(self) -> None:
        with self._reading:
            self._read_at = -FRESH_S


def _digest(text: str) -> str:
    """SHA-256 of a whole key.

    A slow hash protects what people choose, since that can be guessed. A key holds 256 random bits, which nobody
    guesses at any speed, and a slow hash would delay every request.
    """
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()


def _checked(name: str, role: Role, publisher_id: str | None, *limits: int | None) -> str:
    try:
        name = checked_id(name)
    except ValueError as problem:
        raise ConfigError(f"The name of a key {problem}. Say who will use it: --name") from None
    if len(name) > LONGEST_NAME:
        raise ConfigError(f"The name {short(name)} has {len(name)} characters. Use at most {LONGEST_NAME}")
    if (publisher_id is not None) != (role == Role.PUBLISHER):
        raise ConfigError(
            "A key of role publisher sees the rows of one publisher. Name it: --publisher ID"
            if role == Role.PUBLISHER
            else f"A key of role {role} belongs to no publisher. Leave out --publisher, or give --role publisher"
        )
    for limit in limits:
        if limit is not None and not 1 <= limit <= HIGHEST_LIMIT:
            raise ConfigError(f"A limit of {limit} a minute cannot be kept. Give 1 to {HIGHEST_LIMIT:,}, or none")
    return name
