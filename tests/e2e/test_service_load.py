"""The service on real Ray Serve under load: who may ask, what is refused, what never waits, and how it ends."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
import yaml
from ray import serve
from ray._private import worker

from tests.chaos.ray_cluster import free_port
from tests.e2e.service.conftest import Shown, with_keys
from tribute.config import Project, ServingSettings, load_project
from tribute.serving import start
from tribute_jobs.service.application import web_of
from tribute_storage import open_tables

pytestmark = pytest.mark.slow
LONG = "rain and storm, frost and wind. " * 1400  # 45 kB
TOO_LONG_S = 4.0

SHORT = {"queries": [{"text": "rain and storm"}], "record": False}


def copied(finished: Project, folder: Path) -> Path:
    """The project file of a copy."""
    shutil.copytree(finished.workdir.parent, folder)
    return folder / "project.yaml"


@pytest.fixture(scope="module")
def service(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    """A service that takes little at a time."""
    path = copied(finished, tmp_path_factory.mktemp("load") / "press")
    limits = ServingSettings(port=free_port(), max_waiting=8, request_timeout_s=TOO_LONG_S, flush_every_s=2.0)
    project = load_project(path).model_copy(update={"serving": limits})
    shown = with_keys(project)
    yield shown._replace(address=start([project], web_of))
    serve.shutdown()


def long_request(queries: int) -> dict:
    return {"queries": [{"text": LONG}] * queries, "record": False}


def ask(service: Shown, asked: dict, role: str = "ingest") -> httpx.Response:
    with service.client(service.keys[role]) as client:
        return client.post("/v1/attributions", json=asked)


def test_roles_are_kept_apart(service: Shown) -> None:
    routes = {
        ("POST", "/v1/attributions"): {"operator", "ingest"},
        ("GET", "/v1/attributions/never"): {"operator", "ingest"},
        ("GET", "/v1/reports"): {"operator"},
        ("GET", "/metrics"): {"operator"},
        ("GET", "/v1/models"): {"operator", "ingest", "planet"},
        ("GET", "/v1/periods"): {"operator", "planet"},
    }
    for (method, path), allowed in routes.items():
        for role in ("operator", "ingest", "planet"):
            with service.client(service.keys[role]) as client:
                answer = client.request(method, path, json=SHORT if method == "POST" else None)
                assert (answer.status_code == 403) == (role not in allowed), (role, path, answer.text)
                assert answer.status_code in (200, 403, 404)
        with service.client() as client:
            answer = client.request(method, path)
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    with service.client() as client:
        assert client.get("/healthz").status_code == 200
        ready = client.get("/readyz")
        assert (ready.status_code, ready.json()) == (200, {"ready": True, "missing": []})


def test_short_requests_do_not_wait_for_a_long_one(service: Shown) -> None:
    with ThreadPoolExecutor() as pool:
        began = time.monotonic()
        long = pool.submit(ask, service, long_request(2), "operator")
        times, during = list[float](), 0
        time.sleep(0.1)
        while not long.done():
            before = time.monotonic()
            assert ask(service, SHORT).status_code == 200
            times.append(time.monotonic() - before)
            during += not long.done()
        took = time.monotonic() - began
    assert long.result().status_code in (200, 504)
    assert during >= 3
    assert sorted(times)[len(times) // 2] < took / 4


def test_what_takes_too_long_is_given_up_and_holds_nobody_up(service: Shown) -> None:
    answer = ask(service, long_request(100))
    assert answer.status_code == 504, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert "within 4 s" in answer.json()["detail"]
    began = time.monotonic()
    assert ask(service, long_request(1)).status_code == 200  # of 1% of the size: the rest of the other was dropped
    assert time.monotonic() - began < TOO_LONG_S


def test_too_many_requests_are_refused_at_once_and_later_ones_pass(service: Shown) -> None:
    with ThreadPoolExecutor(60) as pool:
        answers = list(pool.map(lambda _: ask(service, long_request(2)), range(60)))
    found = Counter(answer.status_code for answer in answers)
    assert found.keys() <= {200, 503, 504}, found
    assert found[503] > 10, found
    for answer in answers:
        if answer.status_code == 503:
            assert int(answer.headers["retry-after"]) >= 1
            assert answer.headers["content-type"] == "application/problem+json"
            assert "Send it again soon" in answer.json()["detail"]
    assert ask(service, SHORT).status_code == 200


def test_nothing_that_was_asked_or_shown_is_in_a_log(service: Shown) -> None:
    secret = "the minister whispered a password"
    query = {"query_id": "logged", "text": secret}
    for asked in ({"queries": [query]}, {"queries": [query | {"features": "wrong"}]}):
        assert ask(service, asked).status_code in (200, 422)
    logs = Path(worker._global_node.get_logs_dir_path())
    files = [path for path in logs.rglob("*") if path.is_file() and path.stat().st_size < 2**24]
    assert len(files) > 5
    keys = [key.encode() for key in service.keys.values()]
    for path in files:
        content = path.read_bytes()
        assert secret.encode() not in content, path
        assert not any(key in content for key in keys), path


def test_a_request_that_was_begun_is_answered_before_the_end(finished: Project, tmp_path: Path) -> None:
    """`tribute serve` is told to end: what it has begun is answered, what it has recorded is in the lake."""
    path, port = copied(finished, tmp_path / "press"), free_port()
    serving = {"port": port, "flush_every_s": 600.0}
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | {"serving": serving}))
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    command = [sys.executable, "-m", "tribute_jobs.cli", "serve", str(path)]
    with (tmp_path / "said.txt").open("w") as said:
        process = subprocess.Popen(command, stdout=said, stderr=said, env=environment)
    try:
        base = f"http://127.0.0.1:{port}"
        while "Serving press" not in (tmp_path / "said.txt").read_text():
            assert process.poll() is None, (tmp_path / "said.txt").read_text()
            time.sleep(0.2)
        queries = [{"query_id": f"long-{number}", "text": LONG} for number in range(2)]
        short = {"queries": [{"query_id": "short", "text": "rain"}]}
        assert httpx.post(f"{base}/v1/attributions", json=short, timeout=60).json()["recorded"] == 1
        with ThreadPoolExecutor() as pool:
            begun = pool.submit(httpx.post, f"{base}/v1/attributions", json={"queries": queries}, timeout=60)
            time.sleep(0.3)
            process.send_signal(signal.SIGTERM)
            answer = begun.result()
        assert answer.status_code == 200, answer.text
        assert json.loads(answer.content)["recorded"] == 2
        assert process.wait(60) == 143
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    with open_tables(load_project(path).lake_root, "queries") as lake:
        found = lake.execute("select query_id from queries where origin = 'service' order by 1").fetchall()
    assert [name for (name,) in found] == ["long-0", "long-1", "short"]
