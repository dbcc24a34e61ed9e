"""The reporter around an endpoint on a real socket, with a service that breaks, and a process that is killed."""

import asyncio
import json
import logging
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.unit.client.contract_service import KEY, ContractService, listening, service_and_wire
from tests.unit.client.endpoint import WORDS, completion_app, reported
from tests.unit.client.faulty_wire import FaultyWire
from tribute.client import AsyncClient
from tribute.client.middleware import Completion, UsageReporter
from tribute.errors import ConfigError, MachineError

ROOT = Path(__file__).parents[3]
NOBODY = "http://127.0.0.1:9"
ANSWER = "".join(WORDS)


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[ContractService, FaultyWire]]:
    with service_and_wire() as both:
        yield both


@pytest.fixture
def service(running: tuple[ContractService, FaultyWire]) -> ContractService:
    running[0].__init__()
    return running[0]


@pytest.fixture
def wire(running: tuple[ContractService, FaultyWire]) -> FaultyWire:
    running[1].faults.clear()
    return running[1]


def until(holds: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def complete(http: httpx.Client, prompt: str, **asked: Any) -> httpx.Response:
    answer = http.post("/v1/completions", json={"prompt": prompt, **asked})
    assert answer.status_code == 200
    return answer


def text_of(service: ContractService, query_id: str) -> str:
    return json.loads(service.uses[query_id])["text"]


def prompted(use: str | bytes) -> tuple[str | None, str]:
    """Prompt and text of a use."""
    found = json.loads(use)
    return found.get("prompt"), found["text"]


def balanced(reporter: UsageReporter) -> bool:
    counts = reporter.counts()
    known = counts.skipped + counts.delivered + counts.waiting + sum(counts.dropped.values())
    return counts.seen + counts.found == known


def test_completions_of_every_kind_are_reported(service: ContractService, wire: FaultyWire) -> None:
    reporter = reported(wire.url)
    with (
        listening(reporter, lifespan="on") as port,
        httpx.Client(base_url=f"http://127.0.0.1:{port}") as http,
    ):
        complete(http, "plain", user="anna")
        with http.stream("POST", "/v1/completions", json={"prompt": "streamed", "stream": True}) as answer:
            assert len([line for line in answer.iter_lines() if line]) == len(WORDS) + 1
        for stream in (False, True):
            messages = [{"role": "user", "content": f"said {stream}"}]
            asked = {"messages": messages, "stream": stream}
            assert http.post("/v1/chat/completions", json=asked).status_code == 200
        assert http.get("/other").json() == {"other": "page"}
        assert http.post("/v1/completions", json=[]).status_code == 422
    assert reporter.counts().delivered == reporter.counts().recorded == 4
    assert balanced(reporter)
    assert {name: prompted(use) for name, use in service.uses.items()} == {
        "cmpl-plain": ("plain", ANSWER),
        "cmpl-streamed": ("streamed", ANSWER),
        "chat-said False": ("said False\n", ANSWER),
        "chat-said True": ("said True\n", ANSWER),
    }
    assert json.loads(service.uses["cmpl-plain"])["customer_id"] == "anna"


def test_functions_choose_text_and_customer(service: ContractService, wire: FaultyWire) -> None:
    def text(completion: Completion) -> str | None:
        if completion.request["prompt"] == "broken":
            raise KeyError("text")
        return None if completion.request["prompt"] == "private" else completion.text

    reporter = reported(wire.url, text=text, customer=lambda completion: f"team of {completion.user}")
    with (
        listening(reporter, lifespan="on") as port,
        httpx.Client(base_url=f"http://127.0.0.1:{port}") as http,
    ):
        for prompt in ("private", "broken", "open"):
            complete(http, prompt, user="anna")
    assert (prompted(service.uses["cmpl-open"]), len(service.uses)) == ((None, ANSWER), 1)
    assert json.loads(service.uses["cmpl-open"])["customer_id"] == "team of anna"
    assert (reporter.counts().skipped, dict(reporter.counts().dropped)) == (1, {"unreadable": 1})
    assert balanced(reporter)


def test_a_function_chooses_the_prompt(service: ContractService, wire: FaultyWire) -> None:
    """Such as one that is rendered by a chat template; prompts of tokens then need no text."""

    def prompt(completion: Completion) -> str | None:
        return None if completion.prompt == "none" else f"<{completion.request['prompt']}>"

    with (
        listening(reported(wire.url, prompt=prompt), lifespan="on") as port,
        httpx.Client(base_url=f"http://127.0.0.1:{port}") as http,
    ):
        for asked in ("a", "none"):
            complete(http, asked)
    assert {name: prompted(use) for name, use in service.uses.items()} == {
        "cmpl-a": ("<a>", ANSWER),
        "cmpl-none": (None, ANSWER),
    }


def test_a_service_that_breaks_delays_no_answer_and_loses_no_use(
    service: ContractService, wire: FaultyWire
) -> None:
    wire.faults.extend(["reset", "lost"])
    service.faults.append((503, {"Retry-After": "0"}))
    reporter = reported(wire.url, grace_s=20)
    with (
        listening(reporter, lifespan="on") as port,
        httpx.Client(base_url=f"http://127.0.0.1:{port}") as http,
    ):
        for number in range(5):
            complete(http, f"p{number}")
    assert reporter.counts().delivered == len(service.uses) == 5
    assert reporter.counts().dropped == {}


def test_without_a_service_the_endpoint_answers_and_losses_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    lost: list[tuple[str, str]] = []
    reporter = reported(
        NOBODY, capacity=3, grace_s=0.2, on_drop=lambda use, reason: lost.append((str(use["query_id"]), reason))
    )
    with (
        caplog.at_level(logging.INFO, "tribute.client"),
        listening(reporter, lifespan="on") as port,
        httpx.Client(base_url=f"http://127.0.0.1:{port}") as http,
    ):
        for number in range(5):
            complete(http, f"p{number}")
        assert reporter.counts().waiting == 3
    assert dict(reporter.counts().dropped) == {"without room": 2, "left at shutdown": 3}
    assert sorted(name for name, _ in lost) == [f"cmpl-p{number}" for number in range(5)]
    assert balanced(reporter)
    assert "Uses were not reported" in caplog.text
    assert "does not answer" in caplog.text


def test_a_refused_use_is_found_among_others(service: ContractService, wire: FaultyWire) -> None:
    service.refused.add("cmpl-p3")
    lost: list[str] = []
    reporter = reported(wire.url, linger_s=0.5, on_drop=lambda _, reason: lost.append(reason))
    with (
        listening(reporter, lifespan="on") as port,
        httpx.Client(base_url=f"http://127.0.0.1:{port}") as http,
    ):
        for number in range(8):
            complete(http, f"p{number}")
    assert sorted(service.uses) == [f"cmpl-p{number}" for number in range(8) if number != 3]
    assert dict(reporter.counts().dropped) == {"refused": 1}
    assert "text is too short" in lost[0]


def test_a_wrong_key_waits_for_a_right_one(service: ContractService, wire: FaultyWire) -> None:
    reporter = UsageReporter(completion_app(), AsyncClient(wire.url, "trb_wrong", retries=0), grace_s=0.3)
    with (
        listening(reporter, lifespan="on") as port,
        httpx.Client(base_url=f"http://127.0.0.1:{port}") as http,
    ):
        complete(http, "one")
    assert (service.uses, dict(reporter.counts().dropped)) == ({}, {"left at shutdown": 1})


def test_a_user_who_hangs_up_is_a_use_of_what_was_sent(service: ContractService, wire: FaultyWire) -> None:
    async def endless(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            return await completion_app()(scope, receive, send)
        while (await receive()).get("more_body"):
            pass
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        event = {"id": "cmpl-cut", "choices": [{"text": "word "}]}
        body = f"data: {json.dumps(event)}\n\n".encode()
        while True:
            await send({"type": "http.response.body", "body": body, "more_body": True})
            if gone.is_set():
                raise OSError("the connection is gone")
            await asyncio.sleep(0.01)

    gone = asyncio.Event()
    reporter = UsageReporter(endless, AsyncClient(wire.url, KEY), linger_s=0.05)
    with (
        listening(reporter, lifespan="on") as port,
        httpx.Client(base_url=f"http://127.0.0.1:{port}") as http,
    ):
        with http.stream("POST", "/v1/completions", json={"prompt": "cut: "}) as answer:
            next(answer.iter_raw())
        gone.set()
        until(lambda: "cmpl-cut" in service.uses)
    prompt, written = prompted(service.uses["cmpl-cut"])
    assert prompt == "cut: " and written.startswith("word ")


@contextmanager
def endpoint(port: int, service_url: str, spool: Path, end: signal.Signals) -> Iterator[httpx.Client]:
    """The endpoint in a process of its own, which gets a signal at the end."""
    command = [sys.executable, "-m", "tests.unit.client.endpoint", str(port), service_url, str(spool)]
    process = subprocess.Popen(command, cwd=ROOT, env=os.environ)
    try:
        until(lambda: answers(port), 60)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}") as http:
            yield http
    finally:
        process.send_signal(end)
        process.wait()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def test_a_killed_process_loses_no_use(service: ContractService, wire: FaultyWire, tmp_path: Path) -> None:
    """Killed while nobody could take its uses; the next process sends them, each once."""
    port, spool = free_port(), tmp_path / "spool"
    with endpoint(port, NOBODY, spool, signal.SIGKILL) as http:
        for number in range(20):
            complete(http, f"p{number}", stream=number % 2 == 0)
    wire.faults.append("lost")
    with endpoint(port, wire.url, spool, signal.SIGTERM):
        until(lambda: len(service.uses) == 20)
    assert sorted(service.uses) == sorted(f"cmpl-p{number}" for number in range(20))
    assert {prompted(use) for use in service.uses.values()} == {(f"p{n}", ANSWER) for n in range(20)}
    assert [*tmp_path.rglob("*.jsonl")] == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_kills_while_uses_are_on_their_way_lose_none(
    service: ContractService, wire: FaultyWire, tmp_path: Path, seed: int
) -> None:
    """Three kills under load, with a wire that breaks: every use whose answer arrived is counted."""
    draw, port, answered = random.Random(seed), free_port(), list[str]()
    for life in range(3):
        wire.faults.extend(draw.choices(["", "lost", "reset"], k=4))
        with endpoint(port, wire.url, tmp_path, signal.SIGKILL) as http:
            for number in range(draw.randrange(5, 80)):
                complete(http, f"{life}-{number}", stream=draw.random() < 0.5)
                answered.append(f"cmpl-{life}-{number}")
                time.sleep(draw.choice([0, 0, 0.02]))
    wire.faults.clear()
    with endpoint(port, wire.url, tmp_path, signal.SIGTERM):
        until(lambda: len(service.uses) == len(answered))
    assert sorted(service.uses) == sorted(answered)
    assert [*tmp_path.rglob("*.jsonl")] == []


def answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/other").status_code == 200
    except httpx.HTTPError:
        return False


def test_a_shutdown_keeps_what_waits_in_the_spool(
    service: ContractService, wire: FaultyWire, tmp_path: Path
) -> None:
    for url, prompts in ((NOBODY, ("one", "two")), (wire.url, ())):
        reporter = reported(url, spool=tmp_path, grace_s=0.2 if url == NOBODY else 5)
        with (
            listening(reporter, lifespan="on") as port,
            httpx.Client(base_url=f"http://127.0.0.1:{port}") as http,
        ):
            for prompt in prompts:
                complete(http, prompt)
        assert reporter.counts().dropped == {}
        assert balanced(reporter)
    assert sorted(service.uses) == ["cmpl-one", "cmpl-two"]
    assert (reporter.counts().found, reporter.counts().delivered) == (2, 2)


def test_a_damaged_line_of_the_spool_is_told(service: ContractService, wire: FaultyWire, tmp_path: Path) -> None:
    folder = tmp_path / "process-0"
    folder.mkdir()
    (folder / "000000000001.jsonl").write_bytes(b'{"query_id": "a", "text": "one text"}\n{"query_id": "b", "te')
    reporter = reported(wire.url, spool=tmp_path)
    with listening(reporter, lifespan="on"):
        until(lambda: reporter.counts().waiting == 0)
    assert (list(service.uses), dict(reporter.counts().dropped)) == (["a"], {"damaged": 1})


@pytest.mark.parametrize("is_kept", [False, True])
def test_no_piece_of_an_answer_waits_for_the_service(
    service: ContractService, wire: FaultyWire, tmp_path: Path, is_kept: bool
) -> None:
    """Twenty answers come while the service says nothing; all uses are delivered in the end."""
    wire.release.clear()
    wire.faults.append("held")
    reporter = reported(wire.url, linger_s=0, spool=tmp_path if is_kept else None)
    with (
        listening(reporter, lifespan="on") as port,
        httpx.Client(base_url=f"http://127.0.0.1:{port}") as http,
    ):
        for number in range(20):
            complete(http, f"p{number}", stream=True)
        assert reporter.counts().delivered == 0
        wire.release.set()
    assert len(service.uses) == reporter.counts().delivered == 20


def test_a_use_is_in_the_spool_before_its_last_piece_is_sent(tmp_path: Path) -> None:
    """Whoever has the whole answer has a use that survives the process."""
    kept: list[str] = []

    async def run() -> None:
        reporter = reported(NOBODY, spool=tmp_path, grace_s=0)
        body = json.dumps({"prompt": "one", "stream": True}).encode()
        scope = {"type": "http", "method": "POST", "path": "/v1/completions", "query_string": b""}
        scope |= {"headers": [(b"content-type", b"application/json")], "http_version": "1.1"}
        asked = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Any:
            return asked.pop() if asked else await asyncio.Event().wait()

        async def send(message: Any) -> None:
            is_last = message["type"] == "http.response.body" and not message.get("more_body")
            kept.append("".join(path.read_text() for path in tmp_path.rglob("*.jsonl")) if is_last else "")

        await reporter(scope, receive, send)
        await reporter.close()

    asyncio.run(run())
    assert json.loads(kept[-1])["query_id"] == "cmpl-one"


def test_settings_that_cannot_work_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="at least 1"):
        reported(NOBODY, capacity=0)
    (tmp_path / "file").write_text("")
    with pytest.raises(MachineError, match="spool"):
        reported(NOBODY, spool=tmp_path / "file")
