"""Requests whose JSON is read as written: a key that stands twice, NaN or infinity is refused."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import HTTPException, Request, Response
from fastapi.routing import APIRoute

from tribute.files import json_value


class WrittenRequest(Request):
    """A request with one value for each key, of at most `app.state.max_body_bytes`, where that is set."""

    async def body(self) -> bytes:
        """The body; HTTP 413 if it is too large, without reading the rest."""
        if not hasattr(self, "_body"):
            most, content = getattr(self.app.state, "max_body_bytes", None), bytearray()
            async for part in self.stream():
                content += part
                if most is not None and len(content) > most:
                    raise HTTPException(413, f"The body has more than {most:,} bytes. Send it in parts")
            self._body = bytes(content)
        return self._body

    async def json(self) -> Any:
        """The body; HTTP 422 names what cannot be read."""
        try:
            return json_value(await self.body())
        except ValueError as error:
            raise HTTPException(422, f"The body cannot be read as JSON: {error}") from None


class WrittenRoute(APIRoute):
    """A route that takes `WrittenRequest`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler of FastAPI, with another request."""
        answer = super().get_route_handler()

        async def handle(request: Request) -> Response:
            return await answer(WrittenRequest(request.scope, request.receive))

        return handle
