"""A small OpenAI-style endpoint that reports its uses: a program of its own, or a part of a test."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from typing import Any

import uvicorn
from fastapi import FastAPI
from fastapi.responses import StreamingResponse

from tests.unit.client.contract_service import KEY
from tribute.client import AsyncClient
from tribute.client.middleware import UsageReporter

WORDS = ("One", " word", " after", " the", " other", " é…")


def completion_app() -> FastAPI:
    """Answers every prompt with `WORDS`; the id of an answer is `cmpl-` and the prompt."""
    app = FastAPI()

    def body(name: str, **choice: Any) -> dict[str, Any]:
        return {"id": name, "model": "m", "choices": [{"index": 0, **choice}]}

    async def events(name: str, is_chat: bool) -> AsyncIterator[bytes]:
        for word in WORDS:
            choice = {"delta": {"content": word}} if is_chat else {"text": word}
            yield f"data: {json.dumps(body(name, **choice), ensure_ascii=False)}\n\n".encode()
            await asyncio.sleep(0)
        yield b"data: [DONE]\n\n"

    @app.post("/v1/completions")
    async def completions(asked: dict[str, Any]) -> Any:
        name = f"cmpl-{asked['prompt']}"
        if asked.get("stream"):
            return StreamingResponse(events(name, False), media_type="text/event-stream")
        return body(name, text="".join(WORDS))

    @app.post("/v1/chat/completions")
    async def chat(asked: dict[str, Any]) -> Any:
        name = f"chat-{asked['messages'][-1]['content']}"
        if asked.get("stream"):
            return StreamingResponse(events(name, True), media_type="text/event-stream")
        return body(name, message={"role": "assistant", "content": "".join(WORDS)})

    @app.get("/other")
    async def other() -> dict[str, str]:
        return {"other": "page"}

    return app


def reported(url: str, **options: Any) -> UsageReporter:
    """The endpoint, with a reporter to a service."""
    client = AsyncClient(url, KEY, retries=0, timeout=5, max_queries=64)
    return UsageReporter(completion_app(), client, **{"linger_s": 0.05, "grace_s": 5, **options})


if __name__ == "__main__":
    port, service, spool = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    uvicorn.run(reported(service, spool=spool), port=port, log_level="warning")
