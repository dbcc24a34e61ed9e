"""With a publisher's key, no answer of any route holds anything of another publisher."""

import io
import json
import re
from collections.abc import Iterator
from itertools import product

import pytest
from fastapi import FastAPI
from pypdf import PdfReader

from tests.e2e.closing import FIRST, SECOND
from tests.e2e.service.conftest import PUBLISHERS, Shown
from tribute_jobs.period.statements import statements_of_version
from tribute_jobs.service.access.guard import guarded_routes
from tribute_jobs.service.pages.wording import money
from tribute_storage import open_tables

VERSIONS = ((FIRST, 1), (FIRST, 2), (SECOND, 1), (SECOND, 2))
MONTH = re.compile(r"[0-9]{4}-[0-9]{2}")
PARAMETER = re.compile(r"\{(\w+)(?::\w+)?\}")
ASKED = ("source", "publisher", "publisher_id", "statement_id", "query_id", "customer", "run_id")
FORMATS = ("json", "text", "html", "pdf")


def texts_of(service: Shown, publisher: str) -> set[str]:
    """Ids, names, hashes, sources, amounts and shares of a publisher's statements of every version."""
    found = set()
    for period, version in VERSIONS:
        for statement in statements_of_version(service.project, period, version):
            if statement.publisher_id != publisher:
                continue
            found |= {statement.publisher_id, statement.statement_id, statement.sha256, statement.publisher_name}
            found |= {statement.share, statement.share_percent, statement.value_nats}
            minors = [statement.amount_minor, *(line.amount_minor for line in statement.lines)]
            found |= {f'"minor":{minor},' for minor in minors} | {f'"amount_minor":{minor},' for minor in minors}
            found |= {each.amount for each in (statement, *statement.lines)}
            found |= {money(each.amount) for each in (statement, *statement.lines)}
            found |= {line.source_id for line in statement.lines if line.source_id}
            found |= {line.line_id for line in statement.lines}
    return {each for each in found if each}


def of_nobody(service: Shown) -> set[str]:
    """Ids of queries and of customers. A held-out query is called by its source, a use perhaps by its customer."""
    with open_tables(service.project.lake_root, "queries") as connection:
        found = connection.execute("select distinct unnest([query_id, customer_id]) as id from queries").fetchall()
    return {text for (text,) in found if text}


def secrets(service: Shown, own: str, other: str) -> set[str]:
    """What is the other's alone, or no publisher's: nothing that the publisher's own documents hold too."""
    documents = [
        each.canonical().decode()
        for period, version in VERSIONS
        for each in statements_of_version(service.project, period, version)
        if each.publisher_id == own
    ]
    known = "\n".join([*documents, *(money(text) for text in texts_of(service, own))])
    texts = texts_of(service, other) | of_nobody(service)
    return {each for each in texts if each not in known and not is_zero(each)}


def is_zero(text: str) -> bool:
    """Whether a text is an amount or a share of nothing, which anybody has."""
    return not re.sub(r"[^1-9a-z]", "", text.replace("minor", "").replace("amount", ""))


def ids_of(service: Shown, other: str) -> list[str]:
    """A thing of every kind, of another publisher or of the operator, that a parameter could name."""
    final = statements_of_version(service.project, FIRST, 2)
    statement = next(each for each in final if each.publisher_id == other)
    with open_tables(service.project.lake_root, "statements", "valuations", "queries") as connection:
        runs = [run for (run,) in connection.execute("select distinct run_id from runs order by 1").fetchall()]
    line = next(each for each in statement.lines if each.source_id)
    things = [other, statement.statement_id, line.line_id, line.source_id or "", statement.value_run, runs[0]]
    return [*things, f"q003-{FIRST}", FIRST]


def requests(app: FastAPI, values: list[str]) -> Iterator[tuple[str, str]]:
    """Every method and address of every route: its parameters filled with each value, alone and with a query."""
    for route, value in product(guarded_routes(app), values):
        filled = PARAMETER.sub(lambda found, value=value: typed(found[1], value), route.path)
        period = value if MONTH.fullmatch(value) else FIRST
        query = "&".join(f"{name}={value}" for name in ASKED)
        yield from ((method, filled) for method in route.methods)
        yield from ((method, f"{filled}?period={period}&{query}") for method in route.methods)


def typed(name: str, value: str) -> str:
    """A value for a parameter of the path; one that takes few values gets one of them."""
    if name == "period" and not MONTH.fullmatch(value):
        return FIRST
    return {"kind": "csv", "name": "pages.css"}.get(name, value)


def text_of(body: bytes, kind: str) -> str:
    """What a reader of an answer sees."""
    if "pdf" in kind:
        return "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(body)).pages)
    return body.decode("utf-8", "replace")


@pytest.mark.parametrize(
    ("own", "other"), [("arena", "planet"), pytest.param("kitchen", "arena", marks=pytest.mark.slow)]
)
def test_no_route_answers_with_anything_of_another_publisher(service: Shown, own: str, other: str) -> None:
    client = service.client(service.keys[own])
    hidden, tried = secrets(service, own, other), 0
    assert len(hidden) > 8
    for method, address in sorted(set(requests(service.app(), ids_of(service, other)))):
        if method in ("POST", "PUT", "PATCH", "DELETE"):
            answer = client.request(method, address, json={"period": FIRST, "queries": []})
        else:
            answer = client.request(method, address, headers={"Accept": "text/html"} if tried % 2 else {})
        text = text_of(answer.content, answer.headers.get("content-type", ""))
        asked = json.dumps(address)
        leaked = {each for each in hidden if each in text and each not in asked}
        assert leaked == set(), f"{method} {address} answered {answer.status_code} with {leaked}"
        tried += 1
    assert tried > 150


@pytest.mark.parametrize(("own", "other"), [("kitchen", "planet"), ("planet", "arena")])
def test_what_is_anothers_cannot_be_told_from_what_is_not_there(service: Shown, own: str, other: str) -> None:
    client = service.client(service.keys[own])
    final = statements_of_version(service.project, FIRST, 2)
    theirs = next(each.statement_id for each in final if each.publisher_id == other)
    for template, real, made_up in (
        ("/v1/statements/{}", theirs, "made-up"),
        ("/publishers/{}", other, "made-up"),
        (f"/v1/evidence?period={FIRST}&source={{}}", {"planet": "daily", "arena": "sports"}[other], "made-up"),
    ):
        answers = [client.get(template.format(name)) for name in (real, made_up)]
        assert [each.status_code for each in answers] == [404, 404]
        assert answers[0].text.replace(real, made_up) == answers[1].text


@pytest.mark.parametrize(
    "own", ["kitchen", *(pytest.param(name, marks=pytest.mark.slow) for name in PUBLISHERS if name != "kitchen")]
)
def test_a_publisher_reads_its_own_in_every_form(service: Shown, own: str) -> None:
    client = service.client(service.keys[own])
    listed = client.get("/v1/statements", params={"period": FIRST}).json()["statements"]
    assert listed and {each["publisher_id"] for each in listed} == {own}
    hidden = set().union(*(secrets(service, own, other) for other in PUBLISHERS if other != own))
    for each, kind in product(listed, FORMATS):
        answer = client.get(f"/v1/statements/{each['statement_id']}", params={"format": kind})
        assert answer.status_code == 200
        shown = text_of(answer.content, answer.headers["content-type"])
        assert {text for text in hidden if text in shown} == set()
    month, page = f"period={FIRST}", f"/publishers/{own}"
    [valued] = client.get(f"/v1/valuations?{month}").json()["publishers"]
    source = valued["sources"][0]["source_id"]
    evidence = [f"/v1/evidence?{month}&source={source}", f"{page}?{month}&source={source}"]
    for path in ("/v1/periods", f"/v1/periods/{FIRST}", f"/v1/valuations?{month}", page, *evidence):
        answer = client.get(path)
        assert answer.status_code == 200, path
        assert {text for text in hidden if text in answer.text} == set(), path
    assert client.get(evidence[0]).json()["evidence"][0]["most"][0]["query_id"] in client.get(evidence[1]).text


def test_every_access_to_money_was_recorded(service: Shown) -> None:
    client = service.client(service.keys["arena"])
    before = len(service.access.audit.listed(publisher_id="arena"))
    client.get("/publishers/arena")
    client.get("/v1/valuations", params={"period": FIRST})
    newest = service.access.audit.listed(publisher_id="arena")
    assert [each.route for each in newest[: len(newest) - before]] == [
        "/v1/valuations",
        "/publishers/{publisher_id:path}",
    ]
