"""Clients of a service, in a process of their own: each sends its next request when the last one is answered.

`python -m tests.benchmarks.serving.load` reads an `Offer` from standard input and prints an `Answered`, as JSON.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections import Counter
from itertools import count
from typing import NamedTuple

import aiohttp

SHOWN = 300


class Offer(NamedTuple):
    """What is sent: bodies in turn, by so many clients, for so many seconds after a warm-up.

    `requests`: end after so many instead; 0: do not.
    """

    url: str
    bodies: list[str]
    clients: int
    warm_up_s: float
    seconds: float
    requests: int = 0


class Answered(NamedTuple):
    """Requests that were answered after the warm-up, in the order of their answers, and how long each took.

    `span_s`: from the end of the warm-up to the last answer. `failures`: other answers than 200, by status.
    """

    latency_ms: list[float]
    span_s: float
    failures: dict[str, int]

    @property
    def requests_per_second(self) -> float:
        """Answers a second."""
        return len(self.latency_ms) / self.span_s


def offered(offer: Offer) -> Answered:
    """Send an offer from a fresh process.

    Raises:
        RuntimeError: a request was not answered with 200.
    """
    command = [sys.executable, "-m", "tests.benchmarks.serving.load"]
    ended = subprocess.run(command, input=json.dumps(offer), stdout=subprocess.PIPE, text=True, check=True)
    answered = Answered(*json.loads(ended.stdout))
    if answered.failures:
        raise RuntimeError(f"{offer.url} was not answered with 200 each time: {answered.failures}")
    return answered


async def send(offer: Offer) -> Answered:
    """Send an offer. The clock starts when the warm-up is over and every client has had an answer.

    It stops when the time is over and every client has had a second one; what is under way then counts no more.
    """
    found: list[tuple[float, float]] = []
    failures, answers, numbers = Counter[str](), Counter[int](), count()
    begun = time.perf_counter()
    begins, ends = begun + offer.warm_up_s, begun + offer.warm_up_s + offer.seconds
    headers = {"content-type": "application/json"}
    connector, patience = aiohttp.TCPConnector(limit=0), aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(connector=connector, timeout=patience, headers=headers) as session:

        def everybody(rounds: int) -> bool:
            return len(answers) == offer.clients and min(answers.values()) >= rounds

        async def client(number: int) -> None:
            nonlocal begins
            while True:
                index = next(numbers)
                if index >= offer.requests if offer.requests else time.perf_counter() > ends and everybody(2):
                    return
                sent = time.perf_counter()
                async with session.post(offer.url, data=offer.bodies[index % len(offer.bodies)]) as answer:
                    content = await answer.read()
                ended = time.perf_counter()
                found.append((ended, ended - sent))
                if not everybody(1):
                    begins = max(begins, ended)
                answers[number] += 1
                if answer.status != 200:
                    failures[f"{answer.status} {content[:SHOWN]!r}"] += 1
                    await asyncio.sleep(0.2)

        tasks = [asyncio.ensure_future(client(number)) for number in range(offer.clients)]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED if not offer.requests else "ALL_COMPLETED")
        stopped = time.perf_counter()
        await asyncio.gather(*tasks)
    counted = [(ended, seconds) for ended, seconds in found if begins < ended <= stopped]
    span = counted[-1][0] - begins if counted else float("inf")
    return Answered([1000 * seconds for _, seconds in counted], span, dict(failures))


def main() -> None:
    """Send what standard input says."""
    answered = asyncio.run(send(Offer(*json.loads(sys.stdin.read()))))
    json.dump(answered, sys.stdout)


if __name__ == "__main__":
    main()
