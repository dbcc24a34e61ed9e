"""An ASGI middleware that reports the uses of an OpenAI-style completion endpoint to the service."""

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tribute.client.asynchronous import AsyncClient
from tribute.client.reporting.backlog import Backlog, MemoryBacklog
from tribute.client.reporting.completions import (
    CHAT,
    COMPLETIONS,
    Completion,
    Unreadable,
    known_prompt,
)
from tribute.client.reporting.delivery import Delivery, Drops, OnDrop, UsageCounts, log
from tribute.client.reporting.spool import Spool
from tribute.client.reporting.watched_call import Message, WatchedCall
from tribute.errors import ConfigError, MachineError

__all__ = ["Completion", "UsageCounts", "UsageReporter"]

Chosen = Callable[[Completion], str | None]
"""Something of a completion; None: nothing."""
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]


class UsageReporter:
    """Reports every completion that an application answers as a use, in the background.

    >>> app.add_middleware(UsageReporter, client=AsyncClient(url, key), spool="usage-spool")

    A use's id is that of the answer, its text the completion, its customer the request's `user`. The prompt goes
    with it, as context. The answer goes to the user first, whatever happens to the service.

    A use is lost only where this is counted, logged and told to `on_drop`: no room, an answer that cannot be read,
    a refusal of the service, or a shutdown without a spool. With a spool, a use is in a file before the last piece
    of its answer is sent, so that a process which is killed loses none; it is sent at the next start.

    Args:
        app: the application.
        client: of the service, with a key of role ingest. The reporter closes it.
        paths: ends of the paths that are watched.
        text: what of a completion is attributed; None leaves it out. Default: what the model wrote.
        prompt: what it was given before. Default: the request's prompt or messages; with a `text`, none.
        customer: who asked. Default: the request's `user`.
        spool: folder of uses that wait. Each process has a part of it.
        capacity: uses that may wait in memory, without a spool.
        batch: uses in a request to the service.
        linger_s: seconds to wait for a batch to fill.
        grace_s: seconds to go on delivering at shutdown.
        on_drop: is given each use that is lost, and why.

    Raises:
        ConfigError: a number cannot be used.
        MachineError: the spool cannot be used.
    """

    def __init__(
        self,
        app: AsgiApp,
        client: AsyncClient,
        *,
        paths: Sequence[str] = (COMPLETIONS, CHAT),
        text: Chosen | None = None,
        prompt: Chosen | None = None,
        customer: Chosen = lambda completion: completion.user,
        spool: str | Path | None = None,
        capacity: int = 10_000,
        batch: int = 64,
        linger_s: float = 0.5,
        grace_s: float = 10.0,
        on_drop: OnDrop | None = None,
    ) -> None:
        if min(capacity, batch) < 1 or min(linger_s, grace_s) < 0:
            raise ConfigError("capacity and batch have to be at least 1, linger_s and grace_s at least 0")
        self._app, self._client, self._paths = app, client, tuple(paths)
        self._fields, self._drops = _fields(text, prompt, customer), Drops(on_drop)
        self._spool, self._capacity = None if spool is None else Path(spool), capacity
        self._batch, self._linger_s, self._grace_s = batch, linger_s, grace_s
        self._delivery: Delivery | None = None
        self._seen = self._skipped = 0
        if self._spool is not None:
            Spool(self._spool).close()  # a folder that cannot be used is an error of the start, not of a use

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request or an event on; look at completions."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, self._with_lifespan(send))
        elif scope["type"] == "http" and scope["method"] == "POST" and scope["path"].endswith(self._paths):
            await self._watch(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def counts(self) -> UsageCounts:
        """What became of the completions so far."""
        delivery = self._delivery
        return UsageCounts(
            seen=self._seen,
            found=delivery.found if delivery else 0,
            skipped=self._skipped,
            delivered=delivery.delivered if delivery else 0,
            recorded=delivery.recorded if delivery else 0,
            waiting=delivery.waiting if delivery else 0,
            dropped=dict(self._drops.counts),
        )

    async def close(self) -> None:
        """Deliver what waits. A server that sends lifespan events need not call it."""
        if self._delivery is not None:
            await self._delivery.close(self._grace_s)
        await self._client.close()

    def _with_lifespan(self, send: Send) -> Send:
        async def passed(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                self._started()
            elif message["type"] in ("lifespan.shutdown.complete", "lifespan.shutdown.failed"):
                await self.close()
            await send(message)

        return passed

    async def _watch(self, scope: Scope, receive: Receive, send: Send) -> None:
        call = WatchedCall(scope["path"])

        async def received() -> Message:
            message = await receive()
            call.asked(message)
            return message

        async def sent(message: Message) -> None:
            is_kept = self._spool is not None and call.ends_with(message)
            if is_kept:
                call.answered(message)
                self._note(call)
            await send(message)
            if not is_kept:
                call.answered(message)

        try:
            await self._app(scope, received, sent)
        finally:
            self._note(call)  # also where the connection broke: the user has read what was sent

    def _note(self, call: WatchedCall) -> None:
        if call.is_noted or call.reader is None:
            return
        call.is_noted = True
        try:
            found = call.completions()
        except Unreadable as error:
            if call.is_over or call.reader.choices:
                self._seen += 1
                self._drops.note({"query_id": call.reader.response_id}, "unreadable", str(error))
            return
        for completion in found:
            self._seen += 1
            self._report(completion)

    def _report(self, completion: Completion) -> None:
        use = {"query_id": completion.completion_id, "time": datetime.now(UTC)}
        try:
            fields = self._fields(completion)
        except Exception as error:  # functions of others; the endpoint answers all the same
            self._drops.note(use, "unreadable", f"{type(error).__name__}: {error}")
            return
        if fields is None:
            self._skipped += 1
        else:
            self._started().add(use | fields)

    def _started(self) -> Delivery:
        if self._delivery is None:
            backlog = _backlog(self._spool, self._capacity)
            self._delivery = Delivery(self._client, backlog, self._drops, self._batch, self._linger_s)
        return self._delivery


def _fields(
    text: Chosen | None, prompt: Chosen | None, customer: Chosen
) -> Callable[[Completion], dict[str, object] | None]:
    """Text, prompt and customer of a completion's use; None: it is left out."""
    chosen_prompt = prompt or (known_prompt if text is None else lambda _: None)

    def fields(completion: Completion) -> dict[str, object] | None:
        written = completion.text if text is None else text(completion)
        if written is None:
            return None
        context = chosen_prompt(completion) or None
        return {"prompt": context, "text": written, "customer_id": customer(completion)}

    return fields


def _backlog(spool: Path | None, capacity: int) -> Backlog:
    try:
        return MemoryBacklog(capacity) if spool is None else Spool(spool)
    except MachineError as error:
        log.error("%s. Until then uses wait in memory alone", error)
        return MemoryBacklog(capacity)
