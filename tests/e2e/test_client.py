"""The client and the real service, over a wire that loses answers: a use counts once."""

import shutil

import pytest

from tests.projects import article
from tests.served import served
from tests.unit.client.faulty_wire import FaultyWire
from tribute import Client
from tribute.client import ServiceError
from tribute.config import Project, ServingSettings, load_project
from tribute_jobs.service.access.access import open_access
from tribute_jobs.service.access.caller import Role
from tribute_storage import open_tables

SETTINGS = ServingSettings(max_queries=12, max_body_bytes=2048)
TIME = "2026-08-05T12:00:00+00:00"


@pytest.fixture(scope="module")
def project(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy of the finished project: what the service records must not change what other tests compare."""
    folder = tmp_path_factory.mktemp("client") / "press"
    shutil.copytree(finished.workdir.parent, folder)
    return load_project(folder / "project.yaml").model_copy(update={"serving": SETTINGS})


def uses(name: str, number: int) -> list[dict[str, object]]:
    """Uses of 300 characters each."""
    texts = [(article("sports", i, 1) * 9)[:300] for i in range(number)]
    return [{"query_id": f"{name}-{i}", "text": text, "time": TIME} for i, text in enumerate(texts)]


def in_lake(project: Project) -> list[str]:
    """The ids of all uses that this file sends."""
    with open_tables(project.lake_root) as lake:
        rows = lake.execute("select query_id from queries where time::text like '2026-08%'").fetchall()
    return sorted(row[0] for row in rows)


def refused(client: Client, *queries: dict[str, object]) -> int:
    """The status of a refusal."""
    with pytest.raises(ServiceError) as caught:
        client.attribute(queries, record=False)
    return caught.value.status


def test_a_use_counts_once_whatever_breaks(project: Project) -> None:
    with served(project) as url, FaultyWire(int(url.rpartition(":")[2])) as wire:
        with Client(wire.url, max_queries=3) as client:
            assert client.ready(wait_s=30)
            wire.faults.extend(["", "lost", "reset", "lost", "", "lost"])
            answers = client.attribute(uses("lost", 8), top_k=None, idempotency_key="one-call")
            assert client.attribute(uses("lost", 8), top_k=None, idempotency_key="one-call") == answers
            assert [answer.query_id for answer in answers] == [f"lost-{i}" for i in range(8)]
            assert (answers.recorded, len(wire.faults)) == (8, 0)
            found = {each.source_id: each.influence_nats for each in client.attribution("lost-3").sources}
            given = {each.source_id: each.influence_nats for each in answers[3].sources}
            assert found == pytest.approx(given, abs=1e-6)
            with pytest.raises(ServiceError, match="409"):
                client.attribute({"query_id": "lost-3", "text": "another text", "time": TIME})
        with Client(wire.url) as client:
            assert client.models()[0].max_queries == 12
            assert [each.query_id for each in client.attribute(uses("cut", 12))] == [f"cut-{i}" for i in range(12)]
            assert refused(client, {"text": "x" * 3000}) == 413
    assert in_lake(project) == sorted([f"lost-{i}" for i in range(8)] + [f"cut-{i}" for i in range(12)])


def test_a_key_may_do_what_its_role_may(project: Project) -> None:
    key = open_access(project).keys.create("front end", Role.INGEST)[1]
    with served(project) as url:
        with Client(url, key) as client:
            assert len(client.attribute(uses("role", 2), record=False)) == 2
            with pytest.raises(ServiceError) as caught:
                client.statements("2026-10")
            assert caught.value.status == 403
        with Client(url, f"{key[:-4]}{'0' * 4}") as client:
            assert refused(client, *uses("role", 1)) == 401
        with Client(url) as client:
            assert refused(client, *uses("role", 1)) == 401
