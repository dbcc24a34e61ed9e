"""Requests over HTTP are read as written: by FastAPI, without models or Ray."""

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from tribute.serving.requests import WrittenRoute
from tribute.serving.schemas import AttributionRequest


@pytest.fixture(scope="module")
def client() -> TestClient:
    api = FastAPI()
    api.router.route_class = WrittenRoute

    @api.post("/")
    def echo(request: AttributionRequest) -> AttributionRequest:
        return request

    return TestClient(api, headers={"Content-Type": "application/json"})


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ('"weight": 5, "weight": 1', "the key 'weight' stands twice"),
        ('"weight": NaN', "NaN is not a number in JSON"),
        ('"weight": "2"', "weight"),
        ('"weight": true', "weight"),
        ('"weight": 1e-12', "from 0.0001 to 1e+09"),
        ('"label": "3"', "label"),
        ('"label": true', "label"),
        ('"features": ["1.5"]', "features"),
        ('"time": 1791158400', "write the time as text"),
        ('"time": "2026-10-05T12:00:00"', "expected a time with its offset"),
        ('"time": "2026-W41-1T00:00:00Z"', "expected a time with its offset"),
        ('"query_id": 7', "query_id"),
        ('"wieght": 1', "wieght"),
        ('"weight": 1,}', "not JSON"),
    ],
)
def test_what_is_not_as_it_should_be_written_is_refused(client: TestClient, fields: str, told: str) -> None:
    answer = client.post("/", content=f'{{"queries": [{{"text": "hello", {fields}}}]}}')
    assert answer.status_code == 422
    assert told in answer.text


def test_what_is_written_arrives(client: TestClient) -> None:
    body = '{"queries": [{"features": [1, 2.5], "label": 3, "weight": 2, "time": "2026-10-05 14:00:00+02:00"}]}'
    answer = client.post("/", content=body)
    assert answer.status_code == 200, answer.text
    [query] = answer.json()["queries"]
    assert (query["features"], query["label"], query["weight"]) == ([1.0, 2.5], 3, 2.0)
    assert query["time"] == "2026-10-05T12:00:00Z"
