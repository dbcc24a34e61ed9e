"""A month becomes final with all of its recorded uses, or not at all."""

import asyncio
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

from tests.e2e.closing import SECOND, work
from tests.e2e.service.conftest import USE, Shown
from tests.e2e.service.test_pages import csrf_of, signed_in
from tests.served import served
from tests.unit.storage.outbox.uses import Use
from tribute.catalog import lineage
from tribute.config import Project
from tribute.errors import BusyError
from tribute.serving import ServiceEngine, Writer
from tribute.serving.writing.writer import outbox_file
from tribute_jobs.service.views.settled import newest_statements
from tribute_storage import open_tables
from tribute_storage.outbox import USE as USE_ROW
from tribute_storage.outbox import Outbox, Submission
from tribute_storage.outbox.readings import Reading


def service_uses(project: Project) -> list[str]:
    """Ids of recorded uses in the lake."""
    with open_tables(project.lake_root, "queries") as lake:
        rows = lake.execute("select query_id from queries where origin = 'service' order by 1").fetchall()
    return [name for (name,) in rows]


def unread(project: Project, use: Use) -> Outbox:
    """The outbox with a use that waits for its exact read-out."""
    simulate_run = lineage(project).simulate_run
    row = use._replace(unread=True).row() | {"simulate_run": simulate_run, "readout_probability": 1.0}
    outbox = Outbox(outbox_file(project, 0), simulate_run)
    outbox.record([Submission(pa.Table.from_pylist([row | {"head_id": None, "coordinates": None}], USE_ROW))])
    return outbox


def status_of(project: Project) -> str:
    """Of November."""
    return newest_statements(project, SECOND, None).statements[0].status


def test_a_use_that_was_acknowledged_is_in_the_lake_before_its_month_is_closed(
    fresh: Callable[[], Shown],
) -> None:
    service = fresh()
    with served(service.project) as address:
        running = service._replace(address=address)
        asked = {"queries": [USE | {"time": f"{SECOND}-20T12:00:00+00:00"}]}
        answer = running.client(service.keys["ingest"]).post("/v1/attributions", json=asked)
        assert answer.json()["recorded"] == 1 and service_uses(service.project) == []
        with pytest.raises(BusyError, match=f"1 recorded uses of {SECOND} are not in the lake yet"):
            work(service.project, SECOND, "close")
        client, path = signed_in(running, service.operator), f"/periods/{SECOND}/close"
        closed = client.post(path, data=csrf_of(client, path) | {"month": SECOND})
        assert closed.status_code == 422 and "the values" in closed.text
        assert service_uses(service.project) == ["live-1"]
        assert status_of(service.project) == "draft"
        work(service.project, SECOND)
        closed = client.post(path, data=csrf_of(client, path) | {"month": SECOND})
        assert closed.status_code == 303, closed.text
        assert "was not closed" not in client.get(f"/periods/{SECOND}").text
    assert status_of(service.project) == "final"


def test_a_month_stays_open_while_a_use_of_it_waits_for_its_read_out(
    fresh: Callable[[], Shown],
) -> None:
    service = fresh()._replace(closing_waits_s=0.1)
    outbox = unread(service.project, Use("live-1", period=SECOND))
    client, path = signed_in(service, service.operator), f"/periods/{SECOND}/close"
    answer = client.post(path, data=csrf_of(client, path) | {"month": SECOND})
    assert answer.status_code == 422 and f"1 recorded uses of {SECOND} are not in the lake yet" in answer.text
    assert status_of(service.project) == "draft"
    outbox.close()


def test_a_use_of_another_month_keeps_no_month_open(fresh: Callable[[], Shown]) -> None:
    service = fresh()
    outbox = unread(service.project, Use("live-1", period="2026-12"))
    assert work(service.project, SECOND, "close").changed
    outbox.close()


def test_draining_ends_when_the_patience_does(fresh: Callable[[], Shown]) -> None:
    project, nobody = fresh().project, None
    outbox = unread(project, Use("live-1", period=SECOND))
    parts: list[Any] = [nobody, [Writer(project)], nobody]
    engine = ServiceEngine(project, *parts)

    async def drain() -> tuple[int, int]:
        await engine.drain(0.1)
        [before] = await engine.writers()
        [(name, _)] = outbox.readings.lease(1)
        outbox.readings.complete([Reading(name, bytes(4 * 4 * 2), None)])
        await engine.drain(60)
        [after] = await engine.writers()
        return before.waiting, after.waiting

    assert asyncio.run(drain()) == (1, 0)
    assert service_uses(project) == ["live-1"]
    outbox.close()
