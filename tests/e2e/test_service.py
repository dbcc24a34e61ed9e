"""The service on real Ray Serve attributes over HTTP as the batch job does."""

import asyncio
import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from ray import serve

from tests.chaos.ray_cluster import free_port
from tests.e2e.conftest import PERIOD
from tests.projects import article, write_project
from tribute.catalog import valuation_report
from tribute.config import Project, ServingSettings, load_project
from tribute.serving import local_engine, start
from tribute.serving.schemas import AttributionRequest
from tribute_jobs.inquiries.report import latest_valuation
from tribute_jobs.pipeline import run
from tribute_jobs.progress import JsonReporter
from tribute_jobs.service.application import web_of
from tribute_storage import open_tables

OTHER = "2026-09"
LISTED = {"top_k": None}


@pytest.fixture(scope="module")
def served(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy of the finished project: what the service records must not change what other tests compare."""
    folder = tmp_path_factory.mktemp("served") / "press"
    shutil.copytree(finished.workdir.parent, folder)
    return load_project(folder / "project.yaml")


@pytest.fixture(scope="module")
def other(ray_cluster: None, tmp_path_factory: pytest.TempPathFactory) -> Project:  # noqa: ARG001
    """Another project, served beside the first."""
    path = write_project(
        tmp_path_factory.mktemp("beside") / "second",
        name="second",
        training={"learning_rate": 0.01, "batch_size": 8, "epochs": 1, "replicates": 1},
    )
    run(load_project(path), PERIOD, JsonReporter(), last="simulate")
    return load_project(path)


@pytest.fixture(scope="module")
def service(served: Project, other: Project) -> Iterator[httpx.Client]:
    settings = ServingSettings(port=free_port(), max_queries=50, max_body_bytes=200_000, flush_every_s=2.0)
    first = served.model_copy(update={"serving": settings})
    url = start([first, other], web_of)
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
    answer = service.post("/v1/attributions", json={"queries": queries} | LISTED)
    assert answer.status_code == 200, answer.text
    return answer.json()


def reported(service: httpx.Client, period: str) -> dict:
    """A report that was ordered, and has ended."""
    ordered = service.post("/v1/reports", json={"period": period})
    assert ordered.status_code == 202, ordered.text
    while (found := service.get(ordered.headers["location"]).json())["state"] in ("queued", "running"):
        time.sleep(0.05)
    return found


def plain(query: dict) -> dict[str, float]:
    """Influences by source."""
    return {source["source_id"]: source["influence_nats"] for source in query["sources"]}


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
    found = reported(service, OTHER)
    answer = found["report"]
    batch = valuation_report(latest_valuation(served, PERIOD))
    assert answer["queries"] == batch["queries"] == 12
    assert (found["state"], found["tracking_problem"]) == ("done", None)
    expected = {row["publisher_id"]: row for row in batch["publishers"]}
    for row in answer["publishers"]:
        for name in ("attribution_nats", "value_nats", "token_share"):
            assert row[name] == pytest.approx(expected[row["publisher_id"]][name], rel=1e-3, abs=1e-4)


def test_a_report_on_the_batch_job_s_month_is_its_valuation(service: httpx.Client, served: Project) -> None:
    found = reported(service, PERIOD)
    assert found["report"] == valuation_report(latest_valuation(served, PERIOD))
    assert found["value_run"] == latest_valuation(served, PERIOD).run_id


def test_a_report_on_nothing_says_why(service: httpx.Client) -> None:
    found = reported(service, "2020-01")
    assert found["state"] == "failed"
    assert "no attributed query" in found["problem"]
    assert service.post("/v1/reports", json={"period": "2026-13"}).status_code == 422


def test_a_repeated_request_records_nothing_twice(
    service: httpx.Client, attributed: dict, usage: list[dict]
) -> None:
    again = [row | {"time": row["time"].replace(PERIOD, OTHER)} for row in usage[:5]]
    answer = service.post("/v1/attributions", json={"queries": again} | LISTED).json()
    assert answer["recorded"] == 0
    before = {query["query_id"]: query for query in attributed["queries"]}
    for query in answer["queries"]:
        assert plain(query) == pytest.approx(plain(before[query["query_id"]]), rel=1e-3, abs=1e-4)


def test_a_recorded_use_is_found_in_the_outbox_and_in_the_lake(service: httpx.Client) -> None:
    asked = {"queries": [{"query_id": "found/again", "text": article("sports", 7, 1)}]} | LISTED
    [given] = service.post("/v1/attributions", json=asked).json()["queries"]
    waiting = service.get("/v1/attributions/found/again")
    assert waiting.status_code == 200, waiting.text
    assert plain(waiting.json()) == pytest.approx(plain(given), rel=1e-6)
    reported(service, given["period"])  # which flushes
    assert 'tribute_outbox_waiting{shard="0"} 0.0' in service.get("/metrics").text
    assert plain(service.get("/v1/attributions/found/again").json()) == pytest.approx(plain(given), rel=1e-6)
    assert service.get("/v1/attributions/never").status_code == 404


def test_a_use_that_is_unlike_the_corpus_is_found_with_what_is_missing(service: httpx.Client) -> None:
    asked = {"queries": [{"query_id": "odd", "text": "%$#@!~ 0123456789 " * 9}]}
    [given] = service.post("/v1/attributions", json=asked).json()["queries"]
    assert given["unlike_corpus"] and given.get("note") is None
    assert "standard errors were wider" in service.get("/v1/attributions/odd").json()["note"]


def test_two_models_are_served_side_by_side_each_with_its_own_uses(service: httpx.Client) -> None:
    models = service.get("/v1/models").json()
    assert [(each["model"], each["path"]) for each in models] == [("press", ""), ("second", "/models/second")]
    asked = {"queries": [{"query_id": "beside", "text": article("weather", 9, 1)}]} | LISTED
    one, two = (service.post(f"{path}/v1/attributions", json=asked).json() for path in ("", "/models/second"))
    assert (one["model"], two["model"], one["recorded"], two["recorded"]) == ("press", "second", 1, 1)
    assert plain(one["queries"][0]) != plain(two["queries"][0])
    assert service.get("/models/second/v1/attributions/found/again").status_code == 404
    assert service.get("/models/second/readyz").json() == {"ready": True, "missing": []}


def test_an_idempotency_key_gives_the_same_answer_and_counts_once(service: httpx.Client) -> None:
    body = json.dumps({"queries": [{"text": article("daily", 5, 1)}]})
    headers = {"Idempotency-Key": "key-1", "content-type": "application/json"}
    first, second = (service.post("/v1/attributions", content=body, headers=headers) for _ in range(2))
    assert first.status_code == 200
    assert first.content == second.content
    assert first.json()["recorded"] == 1
    other = service.post("/v1/attributions", content=body + " ", headers=headers)
    assert (other.status_code, "with another request" in other.json()["detail"]) == (409, True)


def test_a_key_of_a_report_stands_for_one_month(service: httpx.Client) -> None:
    headers = {"Idempotency-Key": "one-report"}
    first, again = (service.post("/v1/reports", json={"period": "2026-10"}, headers=headers) for _ in range(2))
    assert first.status_code == again.status_code == 202
    assert first.json()["report_id"] == again.json()["report_id"]
    other = service.post("/v1/reports", json={"period": "2026-09"}, headers=headers)
    assert (other.status_code, "Use a new key" in other.json()["detail"]) == (409, True)
    for path in ("/v1/reports", "/v1/attributions"):
        odd = service.post(path, json={}, headers={"Idempotency-Key": "two words"})
        assert odd.status_code == 422 and "Idempotency-Key" in odd.json()["detail"]


def test_a_dry_look_records_nothing(service: httpx.Client) -> None:
    asked = {"queries": [{"query_id": "dry", "text": article("daily", 6, 1)}], "record": False}
    answer = service.post("/v1/attributions", json=asked)
    assert (answer.status_code, answer.json()["recorded"]) == (200, 0)
    assert service.get("/v1/attributions/dry").status_code == 404


def test_publishers_get_their_parts_of_sources(service: httpx.Client) -> None:
    text = article("recipes", 3, 2)
    by_source, by_publisher = (
        service.post(
            "/v1/attributions", json={"queries": [{"text": text}], "record": False, "level": level} | LISTED
        ).json()["queries"][0]["sources"]
        for level in ("source", "publisher")
    )
    source = {row["source_id"]: row["influence_nats"] for row in by_source}
    publisher = {row["publisher_id"]: row["influence_nats"] for row in by_publisher}
    assert publisher["kitchen"] == pytest.approx(source["recipes"] / 3, rel=1e-6)
    assert publisher["planet"] == pytest.approx(source["daily"] + 2 * source["recipes"] / 3, rel=1e-6)


def test_the_sources_that_are_not_listed_are_summed(service: httpx.Client) -> None:
    asked = {"queries": [{"text": article("recipes", 4, 2)}], "record": False}
    [every] = service.post("/v1/attributions", json=asked | LISTED).json()["queries"]
    [two] = service.post("/v1/attributions", json=asked | {"top_k": 2}).json()["queries"]
    largest = sorted(every["sources"], key=lambda row: -abs(row["influence_nats"]))[:2]
    assert {row["source_id"] for row in two["sources"]} == {row["source_id"] for row in largest}
    total = sum(row["influence_nats"] for row in every["sources"])
    shown = sum(row["influence_nats"] for row in two["sources"])
    assert two["others"] == {"count": 2, "influence_nats": pytest.approx(total - shown, abs=1e-5)}


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({"queries": [{"query_id": "a", "features": [1.0], "label": 0}]}, 422, "Query 'a' has no `text`"),
        ({"queries": []}, 422, "at least 1 item"),
        ({"queries": [{"text": "hello", "txt": "x"}]}, 422, "Extra inputs"),
        ({"queries": [{"text": "hello"}] * 51}, 422, "at most 50 queries"),
        ({"queries": [{"text": "x" * 100_001}]}, 422, "and 100,000 are taken"),
        ({"queries": [{"text": "x" * 300_000}]}, 413, "more than 200,000 bytes"),
        ({"queries": [{"text": "hello", "time": "0001-01-01T00:00:00Z"}]}, 422, "from 2000-01-01"),
        ({"queries": [{"text": "hello", "time": "9999-12-31T23:59:59-12:00"}]}, 422, "no such moment"),
        (
            {"queries": [{"query_id": "q000", "text": "other", "time": "2026-09-01T12:00:00Z"}]},
            409,
            "other content",
        ),
        ({"queries": [{"text": "hello", "weight": float("nan")}]}, 422, "NaN is not a number"),
        ({"queries": [{"text": "a\ud800b"}]}, 422, "parse raw data as a unicode string"),
    ],
)
def test_a_bad_request_is_refused_with_the_reason(
    service: httpx.Client, attributed: dict, body: dict, status: int, message: str
) -> None:
    del attributed
    content = json.dumps(body)
    answer = service.post("/v1/attributions", content=content, headers={"content-type": "application/json"})
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert message in answer.json()["detail"]


def test_of_two_services_that_record_a_use_one_counts_it(
    finished: Project, usage: list[dict], tmp_path: Path
) -> None:
    """Two outboxes hold the same uses, and bring them to one lake."""
    shutil.copytree(finished.workdir.parent, tmp_path / "press")
    one = load_project(tmp_path / "press" / "project.yaml")
    queries = [row | {"time": row["time"].replace(PERIOD, OTHER)} for row in usage]
    requests = [AttributionRequest.model_validate({"queries": each}) for each in (queries[:3], queries[:2])]
    for request in requests:  # the second outbox is a new one

        async def record(request: AttributionRequest = request) -> None:
            async with local_engine(one) as engine:
                await engine.attribute(request)

        asyncio.run(record())
        shutil.rmtree(one.workdir / "service")
    with open_tables(one.lake_root, "queries") as lake:
        found = lake.execute("select query_id, count(*) from queries where period = $1 group by 1", [OTHER])
        assert sorted(found.fetchall()) == [(row["query_id"], 1) for row in queries[:3]]
