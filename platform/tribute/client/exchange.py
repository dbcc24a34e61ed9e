"""Requests and answers without a network: a conversation is a generator, which a client drives.

It yields what to send or how long to wait, and is given what came back. So the synchronous and the asynchronous
client share every decision: what is sent, what is sent again, when, and what is an error.
"""

import json
from collections.abc import Generator, Hashable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

from tribute.client.errors import RETRIED, ServiceError
from tribute.client.retry import Backoff, retry_after
from tribute.errors import MachineError
from tribute.ids import short, short_words

T = TypeVar("T")
MOST_SHOWN = 300
"""Characters of an unreadable answer that a message shows."""


@dataclass(frozen=True)
class Send:
    """A request to send."""

    method: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Pause:
    """Time to wait before the next request."""

    seconds: float


@dataclass(frozen=True)
class Reply:
    """What the service answered. Names of headers are in small letters."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class NoReply:
    """Why no answer came."""

    reason: str


Steps = Generator[Send | Pause, Reply | NoReply | None, T]
"""A conversation that ends in a T."""


def answered(send: Send, backoff: Backoff) -> Steps[Reply]:
    """The service's answer to a request, which is sent again while the service is away or busy.

    Raises:
        MachineError: no answer after the last retry.
        ServiceError: any other answer than 2xx, or 429, 502, 503 or 504 after the last retry.
    """
    failures = 0
    while True:
        reply = yield send
        if isinstance(reply, Reply) and reply.status not in RETRIED:
            if 200 <= reply.status < 300:
                return reply
            raise refusal(reply)
        failures += 1
        asked = retry_after(reply.headers.get("retry-after")) if isinstance(reply, Reply) else None
        pause = backoff.pause(failures, asked)
        if pause is None:
            raise refusal(reply, failures, asked) if isinstance(reply, Reply) else no_reply(reply, failures)
        yield Pause(pause)


def refusal(reply: Reply, tries: int = 1, asked_s: float | None = None) -> ServiceError:
    """The error for an answer that is none."""
    problem = _problem(reply)
    title = str(problem.get("title") or f"status {reply.status}")
    if 300 <= reply.status < 400:
        place = reply.headers.get("location", "elsewhere")
        detail = f"The address redirects to {short(place)}. Give the client the address that it redirects to"
    else:
        detail = str(problem.get("detail") or _excerpt(reply))
    often = f" {tries} times" if tries > 1 else ""
    later = f" It asks to come back in {asked_s:,.0f} s." if asked_s else ""
    message = f"The service answered {reply.status} ({title}){often}: {detail.rstrip('.')}.{later}"
    return ServiceError(message, reply.status, title, detail, problem)


def no_reply(reply: NoReply | None, tries: int) -> MachineError:
    """The error for a service that does not answer."""
    reason = reply.reason if reply else "nothing was sent"
    often = f" after {tries} tries" if tries > 1 else ""
    return MachineError(
        f"The service does not answer{often}: {reason.rstrip('.')}. "
        "Start it with tribute serve, or check the address and the network."
    )


def read(reply: Reply, kind: type[T]) -> T:
    """An answer's JSON as a dataclass. Fields that this version does not know are left out.

    Raises:
        ServiceError: not such an answer; another program, or another version, answers at the address.
    """
    try:
        adapter: TypeAdapter[T] = _adapter(cast(Hashable, kind))
        return adapter.validate_json(reply.body)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "body"
        raise unreadable(reply, f"{place}: {short_words(first['msg'])}") from None


def unreadable(reply: Reply, problem: str) -> ServiceError:
    """The error for an answer of another program or version."""
    detail = (
        f"The answer cannot be read ({problem}). Check that the address is that of tribute's service, "
        "and that both are of the same version"
    )
    return ServiceError(f"{detail}.", reply.status, "Unreadable answer", detail, {})


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _problem(reply: Reply) -> dict[str, object]:
    try:
        found = json.loads(reply.body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _excerpt(reply: Reply) -> str:
    text = " ".join(reply.body[:MOST_SHOWN].decode("utf-8", "replace").split())
    return text or "the answer is empty"
