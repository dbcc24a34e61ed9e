"""Figures for a monitor: requests by route and status, and how far the outboxes are."""

import time
from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tribute.serving.writing.writer import WriterState

METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class RequestFigures:
    """The figures of one process of the web application."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self._requests = Counter(
            "tribute_requests", "Requests answered", ("method", "route", "status"), registry=registry
        )
        self._seconds = Histogram(
            "tribute_request_seconds", "Time to the answer", ("route",), buckets=SECONDS, registry=registry
        )
        described = {
            "waiting": "Recorded uses that are not in the lake yet",
            "unread": "Recorded uses that are still to be read out exactly",
            "flushed": "Uses brought to the lake since the outbox was opened",
            "flushes": "Batches brought to the lake since the outbox was opened",
            "conflicting": "Uses whose id another service recorded with other content",
        }
        self._outbox = {
            name: Gauge(f"tribute_outbox_{name}", text, ("shard",), registry=registry)
            for name, text in described.items()
        }
        self._failing = Gauge(
            "tribute_outbox_failing", "1: the last batch did not get to the lake", ("shard",), registry=registry
        )

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        self._requests.labels(method, route, status).inc()
        self._seconds.labels(route).observe(seconds)

    def exposition(self, writers: Sequence[WriterState]) -> bytes:
        """All figures in the text format of Prometheus."""
        for shard, state in enumerate(writers):
            for name, gauge in self._outbox.items():
                gauge.labels(shard).set(getattr(state, name))
            self._failing.labels(shard).set(bool(state.failure))
        return generate_latest(self._registry)


class MeasuredRequests:
    """An ASGI middleware that counts requests and their time, by route: never by what was asked."""

    def __init__(self, app: ASGIApp, figures: RequestFigures) -> None:
        self._app, self._figures = app, figures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 499  # the client left

        async def watched(message: Message) -> None:
            nonlocal status
            status = message["status"] if message["type"] == "http.response.start" else status
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            route = getattr(scope.get("route"), "path", "none")
            self._figures.answered(_known(scope["method"]), route, status, time.perf_counter() - began)


def _known(method: str) -> str:
    """A method of HTTP: whatever callers make up is counted together, so that the figures stay few."""
    return method if method in METHODS else "other"
