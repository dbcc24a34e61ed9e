"""What a service acknowledged is in the lake, once, whichever of its processes are killed under load."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from ray import serve

from tests.benchmarks.serving.fleet import Fleet
from tests.benchmarks.serving.kills import IN_PARTS, WHOLE, drained, judged, killed, sailing
from tests.chaos.ray_cluster import free_port
from tests.projects import article
from tribute.config import Project, ServingSettings, load_project
from tribute.serving import start
from tribute_jobs.service.application import web_of

OTHER = "2026-09"
SOURCES, REPLICATES = 4, 2
RECOVERY_S = 60
"""On a busy machine. The benchmark of the service measures it on an idle one, where it has to be half of that."""


@pytest.fixture
def copied(finished: Project, tmp_path: Path) -> Iterator[Project]:
    """A copy of the finished project, to be served."""
    shutil.copytree(finished.workdir.parent, tmp_path / "press")
    yield load_project(tmp_path / "press" / "project.yaml")
    serve.shutdown()


def sent_and_killed(project: Project, max_replicas: int, victims: Sequence[str]) -> None:
    """Kill processes while clients send, and compare what they were promised with the lake."""
    settings = ServingSettings(port=free_port(), flush_every_s=1.0, max_replicas=max_replicas)
    base = start([project.model_copy(update={"serving": settings})], web_of)
    texts = [article("daily", number, 2) for number in range(20)]
    log = project.workdir.parent / "acknowledged.jsonl"
    fleet = Fleet(f"{base}/v1/attributions", texts, 4, 7, str(log), f"{OTHER}-15T12:00:00Z")
    with sailing(fleet):
        kills = list(killed(fleet, project, [*victims], seed=1))
    report = drained(base, OTHER)
    serve.shutdown()
    verdict = judged(str(log), project, SOURCES * REPLICATES)
    assert [kill.victim for kill in kills] == [*victims]
    assert verdict.acknowledged > 10
    assert (verdict.lost, verdict.doubled, verdict.foreign) == ([], [], [])
    assert max(kill.recovery_s for kill in kills) < RECOVERY_S
    assert report["report"]["queries"] == verdict.acknowledged


def test_a_killed_service_loses_and_doubles_nothing(copied: Project) -> None:
    sent_and_killed(copied, 1, ["service"])


@pytest.mark.slow
@pytest.mark.parametrize(("max_replicas", "victims"), [(1, WHOLE), (2, IN_PARTS)], ids=["whole", "in parts"])
def test_no_killed_process_loses_or_doubles_a_use(
    copied: Project, max_replicas: int, victims: Sequence[str]
) -> None:
    sent_and_killed(copied, max_replicas, victims)
