"""Every access to money is recorded, refused ones too, before it is answered."""

import asyncio
import sqlite3
from contextlib import closing, suppress
from dataclasses import replace

import pytest
from fastapi import APIRouter, FastAPI
from starlette.testclient import TestClient

from tests.unit.jobs.service.conftest import Operator, bearer, watched
from tribute.config import Project
from tribute_jobs.service.access.access import Access, open_access
from tribute_jobs.service.access.audit import AuditEntry
from tribute_jobs.service.access.caller import Role
from tribute_jobs.service.access.routing import AuditedRoute
from tribute_jobs.service.access.store import access_path

ENTRY = AuditEntry("k1", "ops", "operator", "GET", "/x", "/x", "p1", "2026-10", "", 200, "127.0.0.1")


def test_an_access_is_recorded_whole(client: TestClient, access: Access) -> None:
    key, text = access.keys.create("house", Role.PUBLISHER, "p1")
    assert client.get("/statements/s1?format=pdf", headers=bearer(text)).content == b"%PDF"
    [found] = access.audit.listed()
    assert found.time.endswith("+00:00")
    assert found.plain() == {
        "key_id": key.prefix,
        "name": "house",
        "role": "publisher",
        "method": "GET",
        "route": "/statements/{statement_id}",
        "asked": "/statements/s1?format=pdf",
        "publisher_id": "p1",
        "period": "2026-10",
        "statement_id": "s1",
        "status": 200,
        "client": "127.0.0.1",
        "time": found.time,
    }


def test_refused_accesses_are_recorded(client: TestClient, access: Access) -> None:
    key, ingest = access.keys.create("feed", Role.INGEST)
    _, other = access.keys.create("other", Role.PUBLISHER, "p2")
    wrong = ingest[:-1] + ("0" if ingest[-1] != "0" else "1")
    for header in ({}, bearer(wrong), bearer(ingest), bearer(other)):
        client.get("/statements/s1", headers=header)
    found = [(each.status, each.key_id, each.role, each.publisher_id) for each in access.audit.listed()][::-1]
    assert found[:3] == [(401, "", "", ""), (401, key.prefix, "", ""), (403, key.prefix, "ingest", "")]
    assert (found[3][0], found[3][2:]) == (404, ("publisher", "p2"))


def test_a_publisher_does_not_choose_what_is_recorded(client: TestClient, access: Access) -> None:
    _, text = access.keys.create("house", Role.PUBLISHER, "p1")
    query = "publisher_id=p9&publisher=p9&period=2020-01&statement_id=s9"
    client.get(f"/statements/s2?{query}", headers=bearer(text))
    client.get(f"/pages/p9?{query}", headers=bearer(text))
    found = [(each.publisher_id, each.period, each.statement_id) for each in access.audit.listed()][::-1]
    assert found == [("p1", "2026-10", "s2"), ("p1", "2020-01", "")]
    assert query in access.audit.listed(most=1)[0].asked


def test_what_no_parameter_of_the_route_says_is_not_recorded(client: TestClient, access: Access) -> None:
    client.post("/reports?period=2020-01", json={"period": "2026-10", "publisher_id": "p9"})
    assert [(each.period, each.publisher_id) for each in access.audit.listed()][:2] == [("2026-10", ""), ("", "")]
    client.get("/pages/p2?period=2026-11")
    assert [(each.period, each.publisher_id) for each in access.audit.listed(most=1)] == [("2026-11", "p2")]


def test_a_change_is_recorded_before_it_begins_and_after(client: TestClient, access: Access) -> None:
    assert client.post("/reports", json={"period": "2026-10"}).status_code == 202
    assert client.post("/reports", json={"period": 7}).status_code == 422
    found = [(each.status, each.period) for each in access.audit.listed()][::-1]
    assert found == [(102, ""), (202, "2026-10"), (102, ""), (422, "")]


def test_a_defect_is_recorded(client: TestClient, access: Access) -> None:
    assert client.get("/statements/lost").status_code == 500
    assert [(each.status, each.statement_id) for each in access.audit.listed()] == [(500, "lost")]


def test_other_routes_are_not_recorded(client: TestClient, access: Access) -> None:
    client.get("/me")
    client.post("/change", json={"period": "x"})
    client.get("/nowhere")
    assert access.audit.listed() == []


def test_without_a_record_there_is_no_answer(client: TestClient, project: Project) -> None:
    with closing(sqlite3.connect(access_path(project))) as connection:
        connection.execute("create trigger full before insert on accesses begin select raise(abort, 'full'); end")
        connection.commit()
    answer = client.get("/statements/s1")
    assert answer.status_code >= 500
    assert b"%PDF" not in answer.content


def test_a_client_that_leaves_is_recorded_and_holds_nobody_up(app: FastAPI, project: Project) -> None:
    access, file = watched(project)
    app.state.service = replace(app.state.service, access=access)
    router, began = APIRouter(route_class=AuditedRoute), asyncio.Event()

    @router.get("/slow")
    async def slow(_: Operator) -> None:
        began.set()
        await asyncio.sleep(60)

    app.include_router(router)

    async def leave() -> None:
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/slow",
            "raw_path": b"/slow",
            "query_string": b"",
            "headers": [(b"host", b"localhost")],
            "client": ("127.0.0.1", 1),
            "server": ("localhost", 80),
            "scheme": "http",
        }

        async def nothing(*_: object) -> dict:
            return {"type": "http.request", "body": b""}

        asked = asyncio.create_task(app(scope, nothing, nothing))
        await began.wait()
        asked.cancel()
        with suppress(asyncio.CancelledError):
            await asked

    asyncio.run(leave())
    assert [each.status for each in access.audit.listed()] == [499]
    assert file.in_loops == 0


def test_records_are_found_by_what_they_are_about(access: Access) -> None:
    kinds = {"period": "2026-11", "publisher_id": "p2", "key_id": "k2"}
    for name, value in [("status", 200), *kinds.items()]:
        access.audit.append(AuditEntry(**{**ENTRY.plain(), name: value}))
    for name, value in kinds.items():
        [found] = access.audit.listed(**{name: value})
        assert getattr(found, name) == value
    newest = access.audit.listed(most=2)
    assert [each.key_id for each in newest] == ["k2", "k1"]
    assert access.audit.listed(since="2100") == []
    assert len(access.audit.listed(since="2000")) == 4
    assert access.audit.listed(period="2026-11", publisher_id="p2") == []


@pytest.mark.parametrize("change", ["update accesses set status = 200", "delete from accesses"])
def test_the_table_only_grows(project: Project, access: Access, change: str) -> None:
    access.audit.append(ENTRY)
    with (
        closing(sqlite3.connect(access_path(project))) as connection,
        pytest.raises(sqlite3.IntegrityError, match="accesses are never"),
    ):
        connection.execute(change)
    assert len(access.audit.listed()) == 1


def test_texts_from_outside_are_cut_and_storable(access: Access) -> None:
    access.audit.append(AuditEntry(**{**ENTRY.plain(), "asked": "\ud800" + "x" * 5000, "period": "'; drop table"}))
    [found] = access.audit.listed()
    assert found.asked.startswith("\\ud800x")
    assert len(found.asked) == 1024
    assert found.period == "'; drop table"
    assert access.audit.listed(period="'; drop table") == [found]
    assert access.audit.listed(publisher_id="\udcff") == []


def test_two_replicas_write_to_one_table(project: Project, access: Access) -> None:
    other = open_access(project).audit
    for _ in range(20):
        access.audit.append(ENTRY)
        other.append(ENTRY)
    assert len(access.audit.listed()) == 40
