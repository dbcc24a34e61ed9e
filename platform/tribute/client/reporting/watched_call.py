"""A request to a completion endpoint and its answer, read while they pass."""

from collections.abc import Iterable, MutableMapping
from typing import Any

from tribute.client.reporting.completions import (
    MAX_BODY,
    AnswerReader,
    Completion,
    Unreadable,
    completions,
    read_request,
)

Message = MutableMapping[str, Any]


class WatchedCall:
    """Notes what an application is asked and what it answers.

    Attributes:
        reader: of the answer; None before it begins, and where it is no success.
        is_over: the whole answer was sent.
        is_noted: its uses were taken.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.reader: AnswerReader | None = None
        self.is_over = self.is_noted = False
        self._request, self._size = list[bytes](), 0

    def asked(self, message: Message) -> None:
        """A message to the application."""
        if message["type"] == "http.request":
            self._size += len(message.get("body", b""))
            if self._size <= MAX_BODY:
                self._request.append(message.get("body", b""))

    def answered(self, message: Message) -> None:
        """A message of the application."""
        if message["type"] == "http.response.start" and 200 <= message["status"] < 300:
            headers = _headers(message.get("headers", ()))
            self.reader = AnswerReader(
                headers.get("content-type", ""), headers.get("content-encoding", "").lower()
            )
        elif message["type"] == "http.response.body" and self.reader is not None:
            self.reader.feed(message.get("body", b""))
            self.is_over = self.ends_with(message)

    def ends_with(self, message: Message) -> bool:
        """Whether the answer ends with this message."""
        return message["type"] == "http.response.body" and not message.get("more_body", False)

    def completions(self) -> list[Completion]:
        """What was completed.

        Raises:
            Unreadable: the request or the answer cannot be read.
        """
        if self._size > MAX_BODY:
            raise Unreadable(f"the request is longer than {MAX_BODY:,} bytes")
        if self.reader is None:
            return []
        request = read_request(b"".join(self._request))
        self.reader.finish()
        return list(completions(self.path, request, self.reader))


def _headers(pairs: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in pairs}
