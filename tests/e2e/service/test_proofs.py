"""`Holds` is said of the amounts on the page, of all of them; and a closing that was interrupted is completed."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.closing import FIRST, SECOND, work
from tests.e2e.service.conftest import Shown
from tests.e2e.service.test_pages import csrf_of, signed_in
from tests.statements import revised
from tribute.config import Project
from tribute_jobs.period import closing, proof
from tribute_jobs.period.ledger import read_ledger
from tribute_jobs.period.statements import latest_statements, statement_folder
from tribute_jobs.service.missing import Missing
from tribute_jobs.service.views.formats import MonthFormat, StatementFormat, month_file, statement_file
from tribute_jobs.service.views.months import month_rows
from tribute_jobs.service.views.period import period_view
from tribute_jobs.service.views.proofs import verify_month, verify_own
from tribute_jobs.service.views.publisher import publisher_view
from tribute_jobs.service.views.settled import newest_statements

POINTS = {"before it is posted": (closing, "post"), "between bundle and files": (proof, "write_files")}


def test_a_month_holds_only_if_its_bundle_is_of_the_statements_that_are_shown(closed_project: Project) -> None:
    settled = newest_statements(closed_project, FIRST, None)
    assert verify_month(closed_project, settled).state == "holds"
    statements = settled.statements
    last = revised(statements[-1], {"amount_minor": statements[-1].amount_minor + 1})
    for shown, said in (
        ((*statements[:-1], last), f"the lake: The bundle has no statement {last.statement_id}"),
        (statements[:-1], "6 statements were signed, and 5 are shown"),
    ):
        found = verify_month(closed_project, settled._replace(statements=shown))
        assert found.state == "broken" and said in found.problems[0]


def test_each_statement_of_a_publisher_is_verified_and_has_its_digest(closed_project: Project) -> None:
    settled = newest_statements(closed_project, FIRST, "planet")
    own = settled.statements
    assert [each.currency for each in own] == ["EUR", "JPY"]
    found = verify_own(closed_project, settled)
    assert found.state == "holds"
    assert {each.currency: each.sha256 for each in found.digests} == {each.currency: each.sha256 for each in own}
    assert publisher_view(closed_project, "planet", FIRST).verification == found
    second = revised(own[1], {"amount_minor": own[1].amount_minor + 1})
    assert verify_own(closed_project, settled._replace(statements=(own[0], second))).state == "broken"


def test_a_publisher_reads_the_digest_of_each_of_its_statements(service: Shown) -> None:
    text = service.client(service.keys["planet"]).get(f"/publishers/planet?period={FIRST}").text
    own = [each for each in latest_statements(service.project, FIRST) if each.publisher_id == "planet"]
    assert all(text.count(each.sha256) == 1 for each in own)


def interrupted(project: Project, point: str, patch: pytest.MonkeyPatch) -> None:
    """Close November, and stop at a point: its statements are final then."""

    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with patch.context() as during:
        during.setattr(*POINTS[point], stop)
        with pytest.raises(KeyboardInterrupt):
            work(project, SECOND, "close")


@pytest.mark.parametrize(
    "point", [pytest.param("before it is posted", marks=pytest.mark.slow), "between bundle and files"]
)
def test_a_closing_that_was_interrupted_is_told_and_completed_from_its_page(
    fresh: Callable[[], Shown], point: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = fresh()
    project = service.project
    interrupted(project, point, monkeypatch)
    path = statement_folder(project, SECOND, 3) / "bundle.json"
    assert path.exists() == (point == "between bundle and files")
    view, own = period_view(project, SECOND, None), publisher_view(project, "planet", SECOND)
    assert (view.state, view.verification.state, view.closing_refused) == ("half_closed", "half_closed", None)
    assert own.month.state == own.verification.state == "half_closed"
    assert {each.period: each.state for each in month_rows(project, None)} == {
        SECOND: "half_closed",
        FIRST: "final",
    }
    with pytest.raises(Missing, match="no bundle"):
        month_file(project, SECOND, MonthFormat.BUNDLE)
    statement_id = own.month.statements[0].statement_id
    assert b'"proof"' not in statement_file(project, statement_id, StatementFormat.JSON, None).content
    client, address = signed_in(service, service.operator), f"/periods/{SECOND}/close"
    text = client.get(f"/periods/{SECOND}").text
    assert "closing it was interrupted" in text and "Complete the closing" in text and "folder" not in text
    assert "Not now" in client.get(address).text
    answer = client.post(address, data=csrf_of(client, address) | {"month": SECOND})
    assert answer.status_code == 303, answer.text
    assert period_view(project, SECOND, None).state == "final"
    assert period_view(project, SECOND, None).verification.state == "holds"
    finals = {each.statement_id for each in latest_statements(project, SECOND)}
    assert finals & {each.statement_id for each in read_ledger(project)}
    assert "Holds." in client.get(f"/periods/{SECOND}").text


def test_what_hinders_a_completion_is_told_until_the_month_is_closed(
    fresh: Callable[[], Shown], monkeypatch: pytest.MonkeyPatch
) -> None:
    service = fresh()
    interrupted(service.project, "before it is posted", monkeypatch)
    usage = service.project.workdir.parent / "usage.jsonl"
    before = usage.read_text()
    usage.write_text(before.replace("customer-0", "customer-7"))
    client, address = signed_in(service, service.operator), f"/periods/{SECOND}/close"
    answer = client.post(address, data=csrf_of(client, address) | {"month": SECOND})
    assert answer.status_code == 422 and f"tribute close PROJECT.yaml --period {SECOND}" in answer.text
    assert "Closing is not complete" in client.get(f"/periods/{SECOND}").text
    usage.write_text(before)
    work(service.project, SECOND, "close")
    text = client.get(f"/periods/{SECOND}").text
    assert "Holds." in text and 'role="alert"' not in text
