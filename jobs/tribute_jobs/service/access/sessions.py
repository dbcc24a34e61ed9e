"""Sessions of people who signed in with a key: a random token in a cookie, its hash in the file."""

import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from starlette.responses import Response

from tribute_jobs.service.access.caller import Caller
from tribute_jobs.service.access.keys import ApiKey, Keys
from tribute_jobs.service.access.store import AccessFile, moment_text

COOKIE = "tribute_session"
LIFETIME = timedelta(hours=12)


def _now() -> datetime:
    return datetime.now(UTC)


class Sessions:
    """The sessions of a project's service.

    Args:
        now: the time of day.
    """

    def __init__(self, file: AccessFile, keys: Keys, now: Callable[[], datetime] = _now) -> None:
        self._file, self._keys, self._now = file, keys, now

    def begin(self, key: ApiKey) -> str:
        """Sign in with a key: the token of the session. Sessions that are over are deleted."""
        token = secrets.token_urlsafe(32)
        with self._file.transaction() as connection:
            connection.execute("delete from sessions where expires <= ?", (moment_text(self._now()),))
            expires = moment_text(self._now() + LIFETIME)
            connection.execute("insert into sessions values (?, ?, ?)", (_hash(token), key.prefix, expires))
        return token

    def end(self, token: str) -> None:
        """Sign out."""
        with self._file.transaction() as connection:
            connection.execute("delete from sessions where digest = ?", (_hash(token),))

    def caller(self, token: str) -> Caller | None:
        """Whose session this is; None if it is over, or its key was revoked."""
        found = self._file.rows(
            "select prefix from sessions where digest = ? and expires > ?", _hash(token), moment_text(self._now())
        )
        key = self._keys.active(found[0]["prefix"]) if found else None
        return replace(key.caller(), csrf_token=csrf_token(token)) if key else None


def csrf_token(token: str) -> str:
    """What a page of a session sends with every change. It follows from the token, and does not give it away."""
    return hmac.new(token.encode(), b"csrf", hashlib.sha256).hexdigest()


class CookieSettings(NamedTuple):
    """Where a browser keeps a session.

    Attributes:
        path: of the service on its host. The cookie goes to no other.
        secure: people use HTTPS, so the cookie may only travel there.
    """

    name: str
    path: str
    secure: bool


def cookie_of(project: str) -> str:
    """The name of a service's cookie: services of several projects may share a host."""
    return f"{COOKIE}_{project}"


def set_cookie(response: Response, token: str, settings: CookieSettings) -> None:
    """Hand a session to the browser: for this site only, out of reach of scripts."""
    response.set_cookie(
        settings.name,
        token,
        int(LIFETIME.total_seconds()),
        httponly=True,
        samesite="strict",
        secure=settings.secure,
        path=settings.path,
    )


def delete_cookie(response: Response, settings: CookieSettings) -> None:
    """Let the browser forget its session."""
    response.delete_cookie(
        settings.name, path=settings.path, httponly=True, samesite="strict", secure=settings.secure
    )


def _hash(token: str) -> str:
    """SHA-256, since a token is as random as a key."""
    return hashlib.sha256(token.encode("utf-8", "backslashreplace")).hexdigest()
