"""The OpenAPI document keeps its word on real Ray Serve: generated requests get no 5xx, and what is documented."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from ray import serve
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from tests.chaos.ray_cluster import free_port
from tests.e2e.closing import copied
from tests.e2e.service.conftest import Shown, with_keys
from tests.e2e.service.test_pages import PAGES
from tribute.config import Project, ServingSettings
from tribute.corpus.queries import MIN_WEIGHT
from tribute.ids import checked_id
from tribute.serving import start
from tribute.serving.schemas import AttributionAnswer, QueryAttribution
from tribute_jobs.service.application import web_of

CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
]
EXAMPLES = 5
drawn = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
MONTH = "2026-06"


@pytest.fixture(scope="module")
def running(
    ray_cluster: None,  # noqa: ARG001
    closed_project: Project,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Shown]:
    """A service of its own: what is recorded here is nobody else's."""
    project = copied(closed_project, tmp_path_factory.mktemp("openapi") / "copy")
    settings = ServingSettings(port=free_port(), max_text_bytes=500, max_queries=4)
    project = project.model_copy(update={"serving": settings})
    shown = with_keys(project)
    yield shown._replace(address=start([project], web_of))
    serve.shutdown()


@pytest.fixture(scope="module")
def document(running: Shown) -> dict[str, Any]:
    """The document, without its security: every request here shows a key."""
    found: dict[str, Any] = httpx.get(f"{running.address}/v1/openapi.json").json()
    del found["components"]["securitySchemes"]
    for path in found["paths"].values():
        for operation in path.values():
            operation.pop("security", None)
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, Callable[[GenerationMode], Any]]]:
    """Every operation's name, and a strategy for requests to it."""
    for found in schemathesis.openapi.from_dict(document).get_all_operations():
        operation = found.ok()
        yield operation.label, lambda mode, operation=operation: operation.as_strategy(generation_mode=mode)


@pytest.mark.parametrize("mode", list(GenerationMode), ids=str)
@pytest.mark.parametrize("role", ["operator", "planet"])
def test_answers_are_as_documented(
    running: Shown, document: dict[str, Any], mode: GenerationMode, role: str
) -> None:
    headers, statuses = {"Authorization": f"Bearer {running.keys[role]}"}, Counter[int]()
    for _, requests in operations(document):

        @drawn
        @given(case=requests(mode).filter(_can_be_sent))
        def check(case: Case) -> None:
            answer = case.call(base_url=running.address, headers=headers)
            statuses[answer.status_code] += 1
            case.validate_response(answer, checks=CHECKS)

        try:
            check()
        except Exception as error:
            if type(error).__name__ != "Unsatisfiable":  # nothing that it takes can be wrong
                raise
    assert statuses.keys() <= {200, 202, 403, 404, 405, 409, 413, 422}
    assert statuses[422] > EXAMPLES
    assert (role == "operator") == (statuses[403] == 0), statuses
    assert mode.is_negative or statuses[200] > 3


def _can_be_sent(case: Case) -> bool:
    return all(isinstance(value, str) for value in (case.path_parameters or {}).values())


def _is_id(text: str) -> bool:
    try:
        return checked_id(text) == text
    except ValueError:
        return False


IDS = st.text(min_size=1, max_size=40).filter(_is_id)
QUERIES = st.fixed_dictionaries(
    {
        "text": st.text(min_size=2, max_size=120),
        "query_id": st.none() | IDS,
        "customer_id": st.none() | IDS,
        "weight": st.just(0.0) | st.floats(MIN_WEIGHT, 1e9),
        "time": st.dates().map(lambda day: f"{MONTH}-{day.day % 28 + 1:02d}T{day.month:02d}:00:00+00:00"),
    }
)
REQUESTS = st.fixed_dictionaries(
    {
        "queries": st.lists(
            QUERIES, min_size=1, max_size=4, unique_by=lambda query: query["query_id"] or id(query)
        ),
        "top_k": st.none() | st.integers(1, 10**30),
        "level": st.sampled_from(["source", "publisher"]),
        "per_token": st.booleans(),
        "record": st.booleans(),
    }
)


def test_every_page_comes_over_serve(running: Shown) -> None:
    with httpx.Client(base_url=running.address or "", headers={"Accept": "text/html"}, timeout=120) as browser:
        assert browser.post("/sign-in", data={"key": running.operator, "next": "/"}).status_code == 303
        for path in PAGES:
            answer = browser.get(path)
            assert answer.status_code == 200, (path, answer.text)
            assert "<main" in answer.text
        assert browser.get("/static/pages.css").status_code == 200


def test_every_text_can_be_asked_about_and_is_found_again(running: Shown) -> None:
    seen = dict[str, str]()
    with running.client(running.keys["ingest"]) as client:

        @settings(max_examples=60, deadline=None, database=None, derandomize=True)
        @given(asked=REQUESTS)
        def check(asked: dict[str, Any]) -> None:
            answer = client.post("/v1/attributions", json=asked)
            if answer.status_code == 409:  # the same id again
                assert any(seen.get(query["query_id"]) not in (None, query["text"]) for query in asked["queries"])
                return
            assert answer.status_code == 200, answer.text
            found = AttributionAnswer.model_validate_json(answer.content)
            assert len(found.queries) == len(asked["queries"])
            assert found.recorded <= len(asked["queries"]) * asked["record"]
            for query, given_ in zip(found.queries, asked["queries"], strict=True):
                assert query.period == MONTH
                assert query.query_id == given_["query_id"] or given_["query_id"] is None
                assert len(query.sources) + query.others.count == (4 if asked["level"] == "source" else 3)
                if asked["per_token"]:
                    assert "".join(query.tokens or ()) == given_["text"]
                if asked["record"] and given_["query_id"]:
                    seen.setdefault(given_["query_id"], given_["text"])

        check()
        assert len(seen) > 20
        for name in [*seen][:5]:
            answer = client.get(str(httpx.URL(path=f"/v1/attributions/{name}")))
            assert QueryAttribution.model_validate_json(answer.content).query_id == name


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 422),
        (b"null", 422),
        (b"[" * 100_000, 422),
        (b'{"queries": ' + b"[" * 50_000 + b"]" * 50_000 + b"}", 422),
        (b'{"queries": [{"text": "ab", "weight": 1' + b"0" * 5000 + b"}]}", 422),
        (b'{"queries": [{"text": "ab", "weight": 1e999}]}', 422),
        (b'{"queries": [{"text": "\\ud800\\ud800"}]}', 422),
        (b'{"queries": [{"text": "\xff\xfe"}]}', 422),
        (b'{"queries": [{"text": "ab", "query_id": "a"}, {"text": "ab", "query_id": "a"}]}', 422),
        (b'{"queries": [{"text": "' + b"x" * 501 + b'"}]}', 422),
        (b'{"queries": [{"text": "ab"}], "top_k": 0}', 422),
        (b'{"queries": [{"text": "ab", "time": "2099-01-01T00:00:00Z"}]}', 422),
        (b'{"queries": [' + b'{"text": "ab"},' * 4 + b'{"text": "ab"}]}', 422),
        (b"\0" * (16 * 2**20 + 1), 413),
    ],
    ids=lambda value: value[:24].decode("latin-1") if isinstance(value, bytes) else str(value),
)
def test_what_makes_no_sense_is_a_problem(running: Shown, content: bytes, status: int) -> None:
    with running.client(running.keys["ingest"]) as client:
        answer = client.post("/v1/attributions", content=content, headers={"content-type": "application/json"})
        assert answer.status_code == status, answer.text[:300]
        assert answer.headers["content-type"] == "application/problem+json"
        problem = answer.json()
        assert problem.keys() == {"type", "title", "status", "detail"}
        assert problem["status"] == status
        assert len(problem["detail"]) < 3000
