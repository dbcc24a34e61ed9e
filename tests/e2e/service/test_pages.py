"""Pages in this process: what they show and to whom, signing in, the colours, and closing a month."""

import re
import time
from collections.abc import Callable

import httpx
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from tests.e2e.closing import FIRST, SECOND, change_rights, work
from tests.e2e.service.conftest import HERE, USE, Shown
from tribute_jobs.period.statements import latest_statements
from tribute_jobs.service.pages.wording import MINUS, money
from tribute_jobs.service.views.settled import newest_statements

OWN = "/publishers/planet"
OPERATORS = (f"/queries/q003-{FIRST}", "/quality", f"/periods/{SECOND}/close")
PAGES = (
    "/sign-in",
    "/periods",
    f"/periods/{FIRST}",
    f"/periods/{SECOND}",
    OWN,
    f"{OWN}?period={FIRST}",
    *OPERATORS,
)
INLINE = re.compile(r"<script|<style|\sstyle=|\son[a-z]+=|javascript:", re.IGNORECASE)
ADDRESS = re.compile(r"""(?:href|src|action)=["']([^"']*)["']""")
PAGE = {"Accept": "text/html"}


def signed_in(service: Shown, key: str) -> httpx.Client:
    """A browser whose session began with a key."""
    client = service.client()
    answer = client.post("/sign-in", data={"key": key, "next": "/"})
    assert answer.status_code == 303, answer.text
    return client


def csrf_of(client: httpx.Client, path: str) -> dict[str, str]:
    """The hidden fields of a page's form."""
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', client.get(path).text))


@pytest.mark.parametrize("path", PAGES)
def test_a_page_holds_nothing_inline_and_leads_nowhere_else(service: Shown, path: str) -> None:
    answer = service.client(service.operator).get(path, headers=PAGE)
    assert answer.status_code == 200, answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert not re.search(r"unsafe|script|data:", answer.headers["content-security-policy"])
    assert answer.headers["cache-control"] == "private, no-store"
    assert INLINE.findall(answer.text) == []
    assert [each for each in ADDRESS.findall(answer.text) if not each.startswith(("/", "#"))] == []
    assert answer.text.count("<h1") == 1 and "<main" in answer.text


def waiting(client: httpx.Client) -> float:
    """Uses in the outbox."""
    found = re.search(r'tribute_outbox_waiting\{shard="0"\} (\S+)', client.get("/metrics").text)
    assert found is not None
    return float(found[1])


def valued(client: httpx.Client, period: str) -> None:
    """A month with all uses until now, which that brings to the lake."""
    ordered = client.post("/v1/reports", json={"period": period})
    while (report := client.get(ordered.headers["location"]).json())["state"] in ("queued", "running"):
        time.sleep(0.05)
    assert report["state"] == "done", report


def test_a_page_shows_what_the_service_answers_and_brings_nothing_to_the_lake(service: Shown) -> None:
    client = service.client(service.operator)
    asked = {"queries": [USE | {"query_id": "live/2", "time": "2026-08-04T12:00:00+00:00"}], "top_k": None}
    [given] = client.post("/v1/attributions", json=asked).json()["queries"]
    before = waiting(client)
    first = client.get("/queries/live%2F2", headers=PAGE)
    assert first.status_code == 200 and waiting(client) == before > 0
    assert "on its way to the lake" in first.text and '<a href="/publishers/arena?period=2026-08">' in first.text
    valued(client, "2026-08")
    assert waiting(client) == 0
    second = client.get("/queries/live%2F2", headers=PAGE)
    assert re.search(r'Attributed by <a class="code" href="/runs/attribute-', second.text)
    for page in (first, second):
        assert page.text.count("<blockquote") > 2
        shown = re.findall(r'class="figure"><strong>([^<]+)</strong>', page.text)
        expected = [each["influence_nats"] for each in given["sources"]]
        assert [float(text.replace(MINUS, "-")) for text in shown] == pytest.approx(expected, abs=0.006)
        assert all(each["source_id"] in page.text for each in given["sources"])


def test_a_use_has_a_page_with_its_text_and_coloured_tokens(service: Shown) -> None:
    client = service.client(service.operator)
    page = client.get("/queries/live-1", headers=PAGE)
    assert page.status_code == 200 and USE["text"] in page.text and "Colour the words" in page.text
    assert re.search(r'<ol class="passages">\s*<li><blockquote>[^<]+</blockquote>', page.text)
    coloured = client.get("/queries/live-1", params={"tokens": True}, headers=PAGE).text
    asked = re.search(r'<blockquote class="asked">(.*?)</blockquote>', coloured, re.DOTALL)
    assert asked is not None
    assert re.sub(r"<[^>]+>", "", asked[1]) == USE["text"]
    assert len(set(re.findall(r'class="token (s[0-5])', asked[1]))) >= 1
    assert INLINE.findall(coloured) == []
    assert client.get("/queries/nobody-asked", headers=PAGE).status_code == 404


def test_quality_counts_what_the_outbox_brought(service: Shown) -> None:
    client = service.client(service.operator)
    valued(client, "2026-08")
    text = client.get("/quality").text
    assert "Uses on their way to the lake" in text and "August 2026" in text


def test_every_run_of_a_month_has_a_page(service: Shown) -> None:
    client = service.client(service.operator)
    seen, todo = set(), [f"/runs/{newest_statements(service.project, FIRST, None).run_id}"]
    while todo:
        path = todo.pop()
        if path not in seen:
            seen.add(path)
            answer = client.get(path, headers=PAGE)
            assert answer.status_code == 200, path
            todo += [each for each in ADDRESS.findall(answer.text) if each.startswith("/runs/")]
    assert {path.removeprefix("/runs/").partition("-")[0] for path in seen} >= {
        "settle",
        "value",
        "train",
        "corpus",
    }


def test_a_month_shows_every_amount(service: Shown) -> None:
    text = service.client(service.operator).get(f"/periods/{SECOND}").text
    for statement in latest_statements(service.project, SECOND):
        assert money(statement.amount) in text


def test_the_first_page_is_the_newest_month_or_the_publishers_own(service: Shown) -> None:
    answers = {key: service.client(key).get("/") for key in (service.operator, service.keys["planet"])}
    assert [each.headers["location"] for each in answers.values()] == [f"/periods/{SECOND}", OWN]


def test_pages_of_a_service_that_is_mounted_lead_to_itself(fresh: Callable[[], Shown]) -> None:
    service, base = fresh(), "/models/press"
    outer = FastAPI()
    outer.mount(base, service.app())
    client = TestClient(outer, HERE, client=("127.0.0.1", 50000), follow_redirects=False)
    answer = client.get(f"{base}/periods", headers=PAGE)
    assert answer.headers["location"] == f"{base}/sign-in?next=%2Fperiods"
    answer = client.post(f"{base}/sign-in", data={"key": service.operator, "next": "/periods"})
    assert answer.headers["location"] == f"{base}/periods"
    assert [(each.name, each.path) for each in client.cookies.jar] == [("tribute_session_press", base)]
    for path in ("/periods", f"/periods/{FIRST}", OWN, f"/periods/{SECOND}/close"):
        page = client.get(base + path, headers=PAGE)
        assert page.status_code == 200
        addresses = [each for each in ADDRESS.findall(page.text) if not each.startswith("#")]
        assert addresses and all(each.startswith(f"{base}/") for each in addresses)
    assert 'aria-current="page">Months' in client.get(f"{base}/periods").text
    assert client.get(f"{base}/static/pages.css").status_code == 200
    assert client.get(f"{base}/v1/periods/2020-01", headers=PAGE).headers["content-type"].endswith("problem+json")
    gone = client.post(f"{base}/sign-out", data=csrf_of(client, f"{base}/periods"))
    assert gone.headers["location"] == f"{base}/sign-in" and not [*client.cookies.jar]


def test_nobody_without_a_key_sees_a_page(service: Shown) -> None:
    client = service.client()
    for path in PAGES[1:]:
        answer = client.get(path, headers=PAGE)
        assert answer.status_code == 303 and answer.headers["location"].startswith("/sign-in?next=%2F")
        assert client.get(path).status_code == 401
    assert client.get("/", headers=PAGE).headers["location"] == "/sign-in"


def test_signing_in_and_out(service: Shown) -> None:
    client = signed_in(service, service.keys["planet"])
    cookie = next(iter(client.cookies.jar))
    assert cookie.has_nonstandard_attr("HttpOnly") and cookie.get_nonstandard_attr("SameSite").lower() == "strict"
    assert "Planet" in client.get(OWN).text or "planet" in client.get(OWN).text
    assert client.post("/sign-out").status_code == 403
    assert client.post("/sign-out", data=csrf_of(client, OWN)).headers["location"] == "/sign-in"
    assert client.get(OWN).status_code == 401


@pytest.mark.parametrize("https", [False, True])
def test_behind_https_a_session_s_cookie_goes_nowhere_else(service: Shown, https: bool) -> None:
    settings = service.project.serving.model_copy(update={"https": https})
    behind = service._replace(project=service.project.model_copy(update={"serving": settings}), address=None)
    answer = behind.client().post("/sign-in", data={"key": service.operator, "next": "/"})
    assert answer.status_code == 303
    assert ("Secure" in answer.headers["set-cookie"]) == https


def test_a_wrong_key_and_one_that_reports_uses_are_refused(service: Shown) -> None:
    client = service.client()
    cases = {"trb_00000000_" + "0" * 64: "unknown or revoked", "": "unknown", service.keys["ingest"]: "no page"}
    for key, words in cases.items():
        answer = client.post("/sign-in", data={"key": key})
        assert answer.status_code == 401 and words in answer.text
        assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "address", ["https://evil.example/", "//evil.example", "/\\evil.example", "evil", "/\n/x"]
)
def test_signing_in_leads_to_no_other_host(service: Shown, address: str) -> None:
    answer = service.client().post("/sign-in", data={"key": service.operator, "next": address})
    assert answer.headers["location"] == "/"


def test_colours_are_kept(service: Shown) -> None:
    client = service.client(service.operator)
    assert "data-theme" not in client.get("/periods").text
    answer = client.post("/theme", data={"theme": "dark", "back": "/periods?x=1"})
    assert answer.headers["location"] == "/periods?x=1"
    assert '<html lang="en" data-theme="dark">' in client.get("/periods").text
    client.post("/theme", data={"theme": "auto", "back": "/periods"})
    assert "data-theme" not in client.get("/periods").text


def test_a_problem_is_a_page_for_a_browser_and_json_for_a_program(service: Shown) -> None:
    client = service.client(service.operator)
    page = client.get("/periods/2020-01", headers=PAGE)
    assert page.status_code == 404 and "<h1>Not found</h1>" in page.text
    assert client.get("/periods/2020-01").headers["content-type"] == "application/problem+json"
    assert client.get("/v1/periods/2020-01", headers=PAGE).headers["content-type"] == "application/problem+json"
    assert client.get("/nowhere", headers=PAGE).status_code == 404


def test_a_publisher_sees_no_alarms_no_sums_and_no_button(service: Shown) -> None:
    client = service.client(service.keys["planet"])
    text = client.get(f"/periods/{SECOND}").text
    assert "Look at this" not in text and "Close the month" not in text and "<tfoot" not in text
    for path in OPERATORS:
        assert client.get(path).status_code == 403
    assert client.post(f"/periods/{SECOND}/close", data={"month": SECOND, "version": "1"}).status_code == 403
    assert client.get("/publishers/arena").status_code == 404


def test_closing_needs_the_typed_month_the_token_and_the_reviewed_version(service: Shown) -> None:
    client, path = signed_in(service, service.operator), f"/periods/{SECOND}/close"
    fields = csrf_of(client, path)
    assert client.post(path, data={"month": SECOND, "version": fields["version"]}).status_code == 403
    wrong = client.post(path, data=fields | {"month": "2026-10"})
    assert wrong.status_code == 422 and "type the month as 2026-11" in wrong.text
    stale = client.post(path, data=fields | {"month": SECOND, "version": "7"})
    assert stale.status_code == 422 and "You reviewed version 7" in stale.text
    odd = client.post(path, data=fields | {"month": SECOND, "version": "x"})
    assert odd.status_code == 422 and "which version" in odd.text
    assert newest_statements(service.project, SECOND, None).statements[0].status == "draft"


def test_a_month_is_closed_from_its_page(fresh: Callable[[], Shown]) -> None:
    service = fresh()
    client, path = signed_in(service, service.operator), f"/periods/{SECOND}/close"
    page = client.get(path)
    for statement in latest_statements(service.project, SECOND):
        assert money(statement.amount) in page.text
    answer = client.post(path, data=csrf_of(client, path) | {"month": SECOND})
    assert answer.status_code == 303, re.findall(r"was not closed.*", answer.text)
    assert answer.headers["location"] == f"/periods/{SECOND}"
    month = client.get(f"/periods/{SECOND}").text
    assert "Holds." in month and "Closed" in month and "Close the month" not in month
    assert newest_statements(service.project, SECOND, None).statements[0].status == "final"
    assert "is closed" in client.get(path).text
    recorded = service.access.audit.listed(period=SECOND)
    assert [each.status for each in recorded if each.method == "POST"][:2] == [303, 102]


def test_what_changed_since_the_draft_is_not_closed(fresh: Callable[[], Shown]) -> None:
    service = fresh()
    change_rights(service.project)
    client, path = signed_in(service, service.operator), f"/periods/{SECOND}/close"
    answer = client.post(path, data=csrf_of(client, path) | {"month": SECOND})
    assert answer.status_code == 422 and "the rights" in answer.text
    assert newest_statements(service.project, SECOND, None).statements[0].status == "draft"
    assert "was not closed" in client.get(f"/periods/{SECOND}").text
    assert "was not closed" not in service.client(service.keys["planet"]).get(f"/periods/{SECOND}").text
    work(service.project, SECOND)
    assert "was not closed" not in client.get(f"/periods/{SECOND}").text, "it was said of another version"


def test_a_closing_trains_and_measures_nothing(fresh: Callable[[], Shown]) -> None:
    service = fresh()
    usage = service.project.workdir.parent / "usage.jsonl"
    usage.write_text(usage.read_text().replace("customer-0", "customer-7"))
    client, path = signed_in(service, service.operator), f"/periods/{SECOND}/close"
    answer = client.post(path, data=csrf_of(client, path) | {"month": SECOND})
    assert answer.status_code == 422 and "stage attribute would run anew" in answer.text
    assert newest_statements(service.project, SECOND, None).statements[0].status == "draft"
