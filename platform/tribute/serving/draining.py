"""Lets a web application answer what it has begun, and refuse the rest, before the service ends."""

import asyncio
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
PAUSE_S = 0.05
_PROBLEM = {
    "type": "about:blank",
    "title": "Not now",
    "status": 503,
    "detail": "The service is about to end. Send the request again once it is back",
}


class DrainedApp:
    """An ASGI application that can be told to begin nothing more."""

    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        self._app, self._begun, self._ending = app, 0, False

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer, or refuse with 503."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif self._ending:
            await _refuse(send)
        else:
            self._begun += 1
            try:
                await self._app(scope, receive, send)
            finally:
                self._begun -= 1

    async def drain(self) -> None:
        """Begin nothing more, and return when all that was begun is answered."""
        self._ending = True
        while self._begun:
            await asyncio.sleep(PAUSE_S)


async def _refuse(send: Send) -> None:
    headers = [(b"content-type", b"application/problem+json"), (b"retry-after", b"5")]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(_PROBLEM).encode()})
