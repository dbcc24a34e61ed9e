"""Where the service is and how a client speaks to it, for both clients."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from tribute.client.conversations import Conversations
from tribute.client.exchange import NoReply, Reply, Send
from tribute.client.retry import Backoff
from tribute.errors import ConfigError
from tribute.ids import excerpt

TIMEOUT_S = 90.0
"""Longer than the service's own `serving.request_timeout_s`, so that its answer 504 arrives."""
RETRIES = 6


@dataclass(frozen=True)
class Connection:
    """The address of a service, and the headers of every request. Its text shows no key."""

    url: str
    headers: Mapping[str, str]
    timeout_s: float
    conversations: Conversations

    def __repr__(self) -> str:
        return f"Connection({self.url!r})"

    def request(self, send: Send) -> dict[str, Any]:
        """Arguments for httpx."""
        return {
            "method": send.method,
            "url": f"{self.url}{send.path}",
            "params": dict(send.params) or None,
            "content": send.body,
            "headers": {**self.headers, **send.headers},
            "timeout": httpx.Timeout(self.timeout_s, connect=min(self.timeout_s, 10.0)),
            "follow_redirects": False,
        }


def connect(url: str, key: str | None, timeout_s: float, retries: int, max_queries: int | None) -> Connection:
    """A checked connection.

    Raises:
        ConfigError: the address, the key or a number cannot be used.
    """
    parsed = _parsed(url)
    if parsed is None or parsed.scheme not in ("http", "https") or not parsed.host or parsed.query:
        raise ConfigError(
            f"url is {excerpt(url)}, expected the address of the service, such as http://127.0.0.1:8000"
        )
    if parsed.userinfo:
        raise ConfigError("url holds a user or a password. Leave them out and give the client a key")
    headers = {"Content-Type": "application/json"}
    if key is not None:
        if not (key and key.isascii() and key.isprintable() and " " not in key):
            raise ConfigError("key is not a key of the service. Make one with tribute keys create")
        headers["Authorization"] = f"Bearer {key}"
    if not (timeout_s > 0 and math.isfinite(timeout_s)):
        raise ConfigError(f"timeout is {timeout_s!r}, expected seconds above 0")
    if retries < 0 or (max_queries is not None and max_queries < 1):
        raise ConfigError(f"retries is {retries} and max_queries {max_queries}, expected at least 0 and 1")
    return Connection(url.rstrip("/"), headers, timeout_s, Conversations(Backoff(retries), max_queries))


def reply_of(response: httpx.Response) -> Reply:
    """A response of httpx."""
    return Reply(
        response.status_code, {name.lower(): value for name, value in response.headers.items()}, response.content
    )


def no_reply_of(error: httpx.RequestError, url: str) -> NoReply:
    """Why httpx got no response."""
    kind = "no answer in time" if isinstance(error, httpx.TimeoutException) else str(error) or type(error).__name__
    return NoReply(f"{url}: {kind}")


def _parsed(url: str) -> httpx.URL | None:
    try:
        return httpx.URL(url)
    except (httpx.InvalidURL, TypeError):
        return None
