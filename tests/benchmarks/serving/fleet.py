"""Clients that send uses with ids of their own until each is acknowledged, and keep a log of that.

`python -m tests.benchmarks.serving.fleet` reads a `Fleet` from the first line of standard input, and sends until
that ends; each client then waits for its last acknowledgement.
"""

import asyncio
import json
import random
import sys
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import aiohttp

AGAIN_S, PATIENCE_S = 0.1, 90.0
"""How long after a failure a request is sent again, and when a client gives an attempt up."""
MOST_QUERIES = 4


class Fleet(NamedTuple):
    """Who sends what where. `log`: a file, of which each line is an `Acknowledged` as JSON."""

    url: str
    texts: list[str]
    clients: int
    seed: int
    log: str
    time: str | None = None


class Acknowledged(NamedTuple):
    """Ids of a request that was answered with 200; when its last attempt began and ended, by the monotonic clock.

    `attempts`: how many times it was sent.
    """

    ids: list[str]
    sent: float
    ended: float
    attempts: int


def logged(path: str) -> list[Acknowledged]:
    """What a log says; its last line may be under way."""
    lines = Path(path).read_text().split("\n")[:-1]
    return [Acknowledged(*json.loads(line)) for line in lines]


async def sail(fleet: Fleet, over: threading.Event) -> None:
    """Send until it is over.

    Raises:
        RuntimeError: a request was refused for its content.
    """
    timeout = aiohttp.ClientTimeout(total=PATIENCE_S)
    with Path(fleet.log).open("a", buffering=1) as log:
        async with aiohttp.ClientSession(timeout=timeout) as session:
            await asyncio.gather(*(_client(fleet, number, session, log, over) for number in range(fleet.clients)))


async def _client(
    fleet: Fleet, number: int, session: aiohttp.ClientSession, log: TextIO, over: threading.Event
) -> None:
    rng, request = random.Random(f"{fleet.seed}-{number}"), 0
    while not over.is_set():
        ids = [f"{fleet.seed}-{number}-{request}-{part}" for part in range(rng.randint(1, MOST_QUERIES))]
        queries = [{"query_id": name, "text": rng.choice(fleet.texts)} for name in ids]
        body = {"queries": [query | ({"time": fleet.time} if fleet.time else {}) for query in queries]}
        acknowledged = await _until_acknowledged(fleet.url, body, session)
        log.write(json.dumps(Acknowledged(ids, *acknowledged)) + "\n")
        request += 1


async def _until_acknowledged(
    url: str, body: dict[str, Any], session: aiohttp.ClientSession
) -> tuple[float, float, int]:
    attempts = 0
    while True:
        attempts, sent = attempts + 1, time.monotonic()
        try:
            async with session.post(url, json=body) as answer:
                content = await answer.read()
                if answer.status == 200:
                    return sent, time.monotonic(), attempts
        except (aiohttp.ClientError, TimeoutError, ConnectionError):
            pass
        else:
            if answer.status < 500:
                raise RuntimeError(f"{answer.status}: {content[:300]!r}")
        await asyncio.sleep(AGAIN_S)


def main() -> None:
    """Send what standard input says."""
    fleet, over = Fleet(*json.loads(sys.stdin.readline())), threading.Event()

    def listen() -> None:
        sys.stdin.read()
        over.set()

    threading.Thread(target=listen, daemon=True).start()
    asyncio.run(sail(fleet, over))


if __name__ == "__main__":
    main()
