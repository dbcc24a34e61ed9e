"""The clients of the service's benchmark send what an offer says."""

import asyncio
from collections import Counter

import pytest
from aiohttp import web

from tests.benchmarks.serving.load import Answered, Offer, send


async def sent(**changes: object) -> tuple[Answered, Counter[str]]:
    """Send an offer to a server that counts bodies and refuses the text `wrong`."""
    seen = Counter[str]()

    async def answer(request: web.Request) -> web.Response:
        body = await request.text()
        seen[body] += 1
        return web.Response(status=422 if body == "wrong" else 200)

    application = web.Application()
    application.router.add_post("/", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    [(host, port)] = runner.addresses
    offer = Offer(f"http://{host}:{port}/", ["a", "b", "c"], 2, 0.0, 0.0)
    try:
        return await send(offer._replace(**changes)), seen
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("seconds", [0.0, 5.0])
def test_a_number_of_requests_is_sent_in_turn_however_long_it_takes(seconds: float) -> None:
    answered, seen = asyncio.run(sent(requests=31, seconds=seconds))
    assert seen == {"a": 11, "b": 10, "c": 10}
    assert not answered.failures


def test_without_a_number_the_clock_ends_it_after_two_answers_of_every_client() -> None:
    answered, seen = asyncio.run(sent(clients=3))
    assert seen.total() >= 6 and answered.latency_ms
    assert answered.requests_per_second > 0


def test_other_answers_are_told() -> None:
    answered, _ = asyncio.run(sent(bodies=["a", "wrong"], requests=2))
    assert [status[:3] for status in answered.failures] == ["422"]
