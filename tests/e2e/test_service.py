"""The service on real Ray Serve attributes over HTTP as the batch job does."""

import json
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from ray import serve

from tests.e2e.conftest import PERIOD
from tribute.catalog import valuation_report
from tribute.config import Project, ServingSettings, load_project
from tribute.serving import attributor, start
from tribute.serving.attributor import Attributor
from tribute.serving.schemas import Query
from tribute_jobs.inquiries.report import latest_valuation
from tribute_storage import open_tables

OTHER = "2026-09"


@pytest.fixture(scope="module")
def served(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy of the finished project: what the service records must not change what other tests compare."""
    folder = tmp_path_factory.mktemp("served") / "press"
    shutil.copytree(finished.workdir.parent, folder)
    return load_project(folder / "project.yaml")


@pytest.fixture(scope="module")
def service(served: Project) -> Iterator[httpx.Client]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = start(served.model_copy(update={"serving": ServingSettings(port=port, max_queries=50)}))
    with httpx.Client(base_url=url, timeout=None) as client:
        yield client
    serve.shutdown()


@pytest.fixture(scope="module")
def usage(served: Project) -> list[dict]:
    lines = (served.workdir.parent / "usage.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def attributed(service: httpx.Client, usage: list[dict]) -> dict:
    """The batch job's queries, used again in another month."""
    queries = [row | {"time": row["time"].replace(PERIOD, OTHER)} for row in usage]
    answer = service.post("/v1/attributions", json={"queries": queries})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_attributions_over_http_are_those_of_the_batch_job(attributed: dict, served: Project) -> None:
    with open_tables(served.lake_root) as lake:
        expected = dict(
            ((query, source), nats)
            for query, source, nats in lake.execute(
                "select query_id, source_id, avg(influence_nats) from influence "
                "join queries using (run_id, query_id) where period = $1 group by all",
                [PERIOD],
            ).fetchall()
        )
    found = {
        (query["query_id"], source["source_id"]): source["influence_nats"]
        for query in attributed["queries"]
        for source in query["sources"]
    }
    assert attributed["recorded"] == 12
    assert found == pytest.approx(expected, abs=1e-4, rel=1e-4)
    for query in attributed["queries"]:
        nats = [source["influence_nats"] for source in query["sources"]]
        assert nats == sorted(nats, reverse=True)


def test_a_report_on_the_service_s_usage_has_the_batch_job_s_numbers(
    service: httpx.Client, attributed: dict, served: Project
) -> None:
    del attributed
    answer = service.post("/v1/reports", json={"period": OTHER}).json()
    batch = valuation_report(latest_valuation(served, PERIOD))
    assert answer["queries"] == batch["queries"] == 12
    assert answer["tracking_problem"] is None
    expected = {row["publisher_id"]: row for row in batch["publishers"]}
    for row in answer["publishers"]:
        for name in ("attribution_nats", "value_nats", "token_share"):
            assert row[name] == pytest.approx(expected[row["publisher_id"]][name], rel=1e-3, abs=1e-4)


def test_a_report_on_the_batch_job_s_month_is_its_valuation(service: httpx.Client, served: Project) -> None:
    answer = service.post("/v1/reports", json={"period": PERIOD}).json()
    del answer["tracking_problem"]
    assert answer == valuation_report(latest_valuation(served, PERIOD))


def test_a_repeated_request_records_nothing_twice(
    service: httpx.Client, attributed: dict, usage: list[dict]
) -> None:
    again = [row | {"time": row["time"].replace(PERIOD, OTHER)} for row in usage[:5]]
    answer = service.post("/v1/attributions", json={"queries": again}).json()
    assert answer["recorded"] == 0
    assert answer["queries"] == [
        query for query in attributed["queries"] if query["query_id"] in {row["query_id"] for row in again}
    ]


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({"queries": [{"query_id": "a", "features": [1.0], "label": 0}]}, 422, "Query 'a' has no `text`"),
        ({"queries": []}, 422, "at least 1 item"),
        ({"queries": [{"text": "hello", "txt": "x"}]}, 422, "Extra inputs"),
        ({"queries": [{"text": "hello"}] * 51}, 422, "at most 50 queries"),
        (
            {"queries": [{"query_id": "q000", "text": "other", "time": "2026-09-01T12:00:00Z"}]},
            422,
            "with other content",
        ),
    ],
)
def test_a_bad_request_is_refused_with_the_reason(
    service: httpx.Client, attributed: dict, body: dict, status: int, message: str
) -> None:
    del attributed
    answer = service.post("/v1/attributions", json=body)
    assert answer.status_code == status, answer.text
    assert message in answer.text


@pytest.mark.parametrize(("period", "message"), [("2026-13", "YYYY-MM"), ("2020-01", "no attributed query")])
def test_a_report_on_nothing_says_why(service: httpx.Client, period: str, message: str) -> None:
    answer = service.post("/v1/reports", json={"period": period})
    assert answer.status_code == 422
    assert message in answer.json()["detail"]


def test_of_two_services_that_record_a_use_at_once_one_counts_it(
    finished: Project, usage: list[dict], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second service is asked for one of the uses just before the first one commits them."""
    shutil.copytree(finished.workdir.parent, tmp_path / "press")
    services = [Attributor(load_project(tmp_path / "press" / "project.yaml")) for _ in range(2)]
    asked = [Query(**(row | {"time": row["time"].replace(PERIOD, OTHER)})) for row in usage[:3]]
    unrecorded = attributor._unrecorded

    def overtaken(*given: Any) -> list[int]:
        fresh = unrecorded(*given)
        monkeypatch.setattr(attributor, "_unrecorded", unrecorded)
        assert services[1].attribute(asked[:1]).recorded == 1
        return fresh

    monkeypatch.setattr(attributor, "_unrecorded", overtaken)
    assert services[0].attribute(asked).recorded == 2
    with open_tables(services[0]._lake.root, "queries") as lake:
        found = lake.execute("select query_id, count(*) from queries where period = $1 group by 1", [OTHER])
        assert sorted(found.fetchall()) == [(query.query_id, 1) for query in asked]
