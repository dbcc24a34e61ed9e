"""Who gets through: by key, by session, or from this machine as long as there is no key."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from tests.unit.jobs.service.conftest import HERE, bearer, watched
from tribute.config import Project
from tribute.errors import ConfigError
from tribute_jobs.service.access.access import Access
from tribute_jobs.service.access.caller import Role
from tribute_jobs.service.access.guard import guarded_routes, require
from tribute_jobs.service.access.limits import REFUSED_PER_MINUTE, RateLimits, RefusalLimits
from tribute_jobs.service.access.local import require_safe_binding
from tribute_jobs.service.access.routing import audited_paths
from tribute_jobs.service.access.sessions import LIFETIME, Sessions, cookie_of, csrf_token
from tribute_jobs.service.access.store import AccessFile, access_path
from tribute_jobs.service.pages import session


def status(client: TestClient, path: str = "/me", **options: object) -> int:
    """The status of an answer, which has to be a problem where it is none of success."""
    answer = client.get(path, **options)
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"])
def test_without_keys_this_machine_is_the_operator(app: FastAPI, address: str) -> None:
    answer = TestClient(app, HERE, client=(address, 1)).get("/me")
    assert answer.json() == {"key": "local", "role": "operator", "publisher": None, "csrf": None}


@pytest.mark.parametrize("address", ["10.0.0.7", "192.168.1.2", "::ffff:10.0.0.7", "fe80::1", "testclient", ""])
def test_without_keys_nobody_else_gets_in(app: FastAPI, address: str) -> None:
    answer = TestClient(app, HERE, client=(address, 1)).get("/me")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert "tribute keys create" in answer.json()["detail"]


def test_without_keys_a_socket_without_address_does_not_get_in(app: FastAPI) -> None:
    async def nameless(scope: dict, receive: object, send: object) -> None:
        await app({**scope, "client": None}, receive, send)

    assert TestClient(nameless, HERE).get("/me").status_code == 401


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via", "X-Forwarded-Host"])
def test_a_proxy_on_this_machine_does_not_let_the_world_in(client: TestClient, header: str) -> None:
    assert status(client, headers={header: "127.0.0.1"}) == 401


def test_a_forwarded_address_is_never_believed(app: FastAPI, access: Access) -> None:
    away = TestClient(app, HERE, client=("10.0.0.7", 1))
    assert status(away, headers={"X-Forwarded-For": "127.0.0.1"}) == 401
    _, text = access.keys.create("ops", Role.OPERATOR)
    away.get("/statements/s1", headers={**bearer(text), "X-Forwarded-For": "127.0.0.1"})
    assert access.audit.listed()[0].client == "10.0.0.7"


@pytest.mark.parametrize(
    ("host", "expected"),
    [("localhost:8000", 200), ("[::1]:8000", 200), ("127.0.0.1", 200), ("evil.example", 403), ("", 403)],
)
def test_a_name_that_was_made_to_point_here_is_refused(client: TestClient, host: str, expected: int) -> None:
    assert status(client, headers={"Host": host}) == expected


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, 200),
        ({"Origin": HERE}, 200),
        ({"Origin": HERE, "Sec-Fetch-Site": "same-origin"}, 200),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "http://127.0.0.1:9999"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
    ],
)
def test_without_keys_no_other_page_changes_anything(client: TestClient, headers: dict, expected: int) -> None:
    assert client.post("/form", headers=headers).status_code == expected
    assert client.get("/me", headers=headers).status_code == 200


def test_the_first_key_closes_the_door(client: TestClient, access: Access) -> None:
    assert status(client) == 200
    key, text = access.keys.create("ops", Role.OPERATOR)
    assert status(client) == 401
    assert status(client, headers=bearer(text)) == 200
    access.keys.revoke(key.prefix)
    assert status(client, headers=bearer(text)) == 401
    assert status(client) == 401  # the last key is revoked, and the door stays closed


@pytest.mark.parametrize("role", Role)
def test_a_role_opens_its_routes_only(client: TestClient, access: Access, role: Role) -> None:
    publisher = "p1" if role == Role.PUBLISHER else None
    _, text = access.keys.create("k", role, publisher)
    found = client.get("/me", headers=bearer(text)).json()
    assert (found["role"], found["publisher"]) == (role, publisher)
    assert status(client, "/statements/s1", headers=bearer(text)) == (403 if role == Role.INGEST else 200)
    report = client.post("/reports", headers=bearer(text), json={"period": "2026-10"})
    assert report.status_code == (202 if role == Role.OPERATOR else 403)


@pytest.mark.parametrize(
    "header", ["Bearer", "Bearer ", "Basic dXNlcjpwdw==", "", "trb_00000000_00", "Bearer \xe9"]
)
def test_what_is_no_key_is_refused(client: TestClient, access: Access, header: str) -> None:
    assert status(client, headers={"Authorization": header.encode("latin-1")}) == 401
    access.keys.create("ops", Role.OPERATOR)
    assert status(client, headers={"Authorization": header.encode("latin-1")}) == 401


def test_the_guard_comes_before_the_body(client: TestClient, access: Access) -> None:
    access.keys.create("ops", Role.OPERATOR)
    assert (
        client.post("/change", content=b"{" * 10_000, headers={"content-type": "application/json"}).status_code
        == 401
    )
    assert client.post("/change", json={}).status_code == 401


def test_a_json_body_is_read_as_written(client: TestClient) -> None:
    twice = client.post(
        "/change", content=b'{"period": "a", "period": "b"}', headers={"content-type": "application/json"}
    )
    assert (twice.status_code, "period" in twice.json()["detail"]) == (422, True)
    assert client.post("/change", json={"period": "2026-10"}).json() == "2026-10"


def test_a_request_counts_once_against_the_limit(app: FastAPI, access: Access) -> None:
    limited = Access(access.keys, access.sessions, access.audit, RateLimits(6, None, lambda: 0.0))
    app.state.service = replace(app.state.service, access=limited)
    client = TestClient(app, HERE, client=("127.0.0.1", 1))
    assert status(client, "/statements/s1") == 200
    refused = client.get("/statements/s1")
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "10")
    assert [each.status for each in access.audit.listed()] == [429, 200]


def test_unknown_callers_are_recorded_up_to_a_limit_and_known_ones_pass(app: FastAPI, access: Access) -> None:
    _, text = access.keys.create("ops", Role.OPERATOR)
    limited = replace(access, refusals=RefusalLimits(lambda: 0.0))
    app.state.service = replace(app.state.service, access=limited)
    client = TestClient(app, HERE, client=("10.0.0.7", 1))
    answers = [client.get("/statements/s1") for _ in range(REFUSED_PER_MINUTE + 20)]
    assert [each.status_code for each in answers] == [401] * REFUSED_PER_MINUTE + [429] * 20
    assert answers[-1].headers["retry-after"] == "1"
    assert len(access.audit.listed()) == REFUSED_PER_MINUTE
    assert status(client, headers=bearer(text[:-4] + "0000")) == 429  # on routes that nobody records, too
    assert status(client, "/statements/s1", headers=bearer(text)) == 200
    assert status(TestClient(app, HERE, client=("10.0.0.8", 1)), "/statements/s1") == 401
    assert [each.status for each in access.audit.listed(most=2)] == [401, 200]


def test_no_event_loop_waits_for_the_file(app: FastAPI, project: Project) -> None:
    access, file = watched(project)
    _, text = access.keys.create("ops", Role.OPERATOR)
    app.state.service = replace(app.state.service, access=access)
    app.include_router(session.router)
    before = file.in_threads
    with TestClient(app, HERE, client=("127.0.0.1", 1), follow_redirects=False) as client:
        assert client.get("/statements/s1", headers=bearer(text)).status_code == 200
        assert client.get("/me").status_code == 401
        assert client.post("/sign-in", data={"key": text}).status_code == 303
        assert client.get("/me").status_code == 200
    assert (file.in_loops, file.in_threads > before + 8) == (0, True)


def test_who_is_not_known_is_not_told_which_file_is_at_fault(client: TestClient, project: Project) -> None:
    with closing(sqlite3.connect(access_path(project))) as connection:
        connection.execute("drop table keys")
    for page in ({}, {"Accept": "text/html"}):
        answer = client.get("/me", headers=page)
        assert answer.status_code == 503
        assert "Its log says why" in answer.text and str(project.workdir) not in answer.text


def signed_in(client: TestClient, access: Access, role: Role = Role.OPERATOR) -> str:
    """A session in the client's cookies; its token."""
    key, _ = access.keys.create("person", role)
    token = access.sessions.begin(key)
    client.cookies.set(cookie_of("press"), token)
    return token


def test_a_session_reads_and_changes_with_its_token(client: TestClient, access: Access) -> None:
    csrf = csrf_token(signed_in(client, access))
    assert client.get("/me").json()["csrf"] == csrf
    assert client.post("/change", json={"period": "x"}).status_code == 403
    assert client.post("/change", json={"period": "x"}, headers={"X-CSRF-Token": csrf}).json() == "x"
    assert client.post("/form", data={"csrf_token": csrf, "other": "é"}).json() == "done"
    assert client.post("/form", data={"csrf_token": csrf[:-1]}).status_code == 403
    assert client.post("/form", data={}).status_code == 403
    assert client.post("/form", headers={"X-CSRF-Token": ""}).status_code == 403


def test_another_session_s_token_changes_nothing(client: TestClient, access: Access) -> None:
    other = csrf_token(access.sessions.begin(access.keys.create("b", Role.OPERATOR)[0]))
    signed_in(client, access)
    assert client.post("/form", data={"csrf_token": other}).status_code == 403


def test_a_form_is_bounded(client: TestClient, access: Access) -> None:
    csrf = csrf_token(signed_in(client, access))
    large = client.post("/form", data={"note": "x" * 70_000, "csrf_token": csrf})
    assert large.status_code == 413
    many = client.post("/form", data={**{f"f{i}": "1" for i in range(200)}, "csrf_token": csrf})
    assert many.status_code == 422

    def chunks():
        yield b"csrf_token=" + csrf.encode()

    form = {"content-type": "application/x-www-form-urlencoded"}
    assert client.post("/form", content=chunks(), headers=form).status_code == 413


def test_a_session_ends_with_its_key_and_by_signing_out(client: TestClient, access: Access) -> None:
    token = signed_in(client, access)
    assert status(client) == 200
    access.sessions.end(token)
    assert status(client) == 401
    signed_in(client, access)
    access.keys.revoke(access.keys.listed()[-1].prefix)
    assert status(client) == 401


def test_a_session_lasts_twelve_hours(project: Project, access: Access) -> None:
    moments = [datetime(2026, 10, 1, 12, tzinfo=UTC)]
    file = AccessFile(access_path(project))
    sessions = Sessions(file, access.keys, lambda: moments[-1])
    token = sessions.begin(access.keys.create("person", Role.OPERATOR)[0])
    moments.append(moments[0] + LIFETIME * 0.999)
    assert sessions.caller(token) is not None
    moments.append(moments[0] + LIFETIME)
    assert sessions.caller(token) is None
    sessions.begin(access.keys.listed()[0])
    assert len(file.rows("select * from sessions")) == 1
    assert token not in str([tuple(row) for row in file.rows("select * from sessions")])


def test_a_key_in_the_header_counts_before_the_session(client: TestClient, access: Access) -> None:
    signed_in(client, access)
    _, text = access.keys.create("feed", Role.INGEST)
    assert client.get("/me", headers=bearer(text)).json()["role"] == "ingest"
    assert client.post("/form", headers=bearer(text)).status_code == 200  # no page sent this
    assert status(client, headers=bearer("trb_wrong")) == 401


def test_a_request_marks_its_key_as_used(client: TestClient, access: Access) -> None:
    _, text = access.keys.create("feed", Role.INGEST)
    assert status(client, headers=bearer(text)) == 200
    assert access.keys.listed()[0].last_used is not None


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "tribute.example", ""])
def test_a_service_without_a_key_does_not_bind_beyond_this_machine(access: Access, host: str) -> None:
    with pytest.raises(ConfigError, match=r"tribute keys create .*serving\.host to 127\.0\.0\.1"):
        require_safe_binding(host, access.keys)
    key, _ = access.keys.create("ops", Role.OPERATOR)
    require_safe_binding(host, access.keys)
    access.keys.revoke(key.prefix)
    with pytest.raises(ConfigError):
        require_safe_binding(host, access.keys)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.0.1.1"])
def test_a_service_without_a_key_binds_to_this_machine(access: Access, host: str) -> None:
    require_safe_binding(host, access.keys)


def test_routes_can_be_asked_for_their_roles(app: FastAPI) -> None:
    found = {route.path: route.roles for route in guarded_routes(app)}
    assert found["/me"] == set(Role)
    assert found["/statements/{statement_id}"] == {Role.OPERATOR, Role.PUBLISHER}
    assert found["/reports"] == {Role.OPERATOR}
    assert found["/open"] is None
    assert audited_paths(app) == {"/statements/{statement_id}", "/pages/{publisher_id}", "/reports"}


def test_the_openapi_document_says_that_a_key_is_needed(app: FastAPI) -> None:
    paths = app.openapi()["paths"]
    assert paths["/me"]["get"]["security"] == [{"HTTPBearer": []}]
    assert "security" not in paths["/open"]["get"]


def test_a_guard_needs_a_role() -> None:
    with pytest.raises(ValueError, match="lets nobody through"):
        require()
