"""Commands beside the stages under faults: sql, publish, ingest and serve."""

import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import httpx
import psutil
import pytest

from tests.chaos import damage
from tests.chaos.commands import Commands
from tests.chaos.damage import damaged, parquet_of
from tests.chaos.plain import faults_of, innards
from tests.chaos.ray_cluster import free_port
from tests.chaos.script import FILE, change_settings
from tests.e2e.tables import fingerprints
from tests.faults import fill, may_mount, small_disk
from tests.projects import article
from tribute.config import load_project
from tribute_jobs.exit_codes import ExitCode

PATIENCE_S = 120.0
ENDLESS = "select count(*) from range(100000000) a, range(100000) b where a.range + b.range = 7"
SIGNALS = {signal.SIGINT: ExitCode.INTERRUPTED, signal.SIGTERM: ExitCode.TERMINATED}


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    with closing(Commands(tmp_path_factory.mktemp("streams"))) as found:
        yield found


@pytest.fixture
def project(finished_folder: Path, tmp_path: Path) -> Path:
    """A copy of a finished project."""
    return Path(shutil.copytree(finished_folder, tmp_path / "press"))


def sent(number: int, when: Callable[[], bool]) -> Callable[[int], None]:
    """Sends a signal to a command once something holds; kill -9 to what works, not to what watches it."""

    def send(pid: int) -> None:
        until = time.monotonic() + PATIENCE_S
        while not when() and time.monotonic() < until:
            time.sleep(0.05)
        [working] = psutil.Process(pid).children()
        os.kill(working.pid if number == signal.SIGKILL else pid, number)

    return send


@pytest.mark.slow
@pytest.mark.parametrize("number", SIGNALS)
def test_a_query_that_takes_long_is_stopped_by_a_signal(number: int, commands: Commands, project: Path) -> None:
    began = time.monotonic()
    ended = commands.run(
        "sql", project / FILE, ENDLESS, meanwhile=sent(number, lambda: time.monotonic() - began > 6)
    )
    assert faults_of(ended, SIGNALS[number]) == [], ended


@pytest.mark.slow
@pytest.mark.parametrize("harm", [damage.cut, damage.missing, damage.foreign])
def test_sql_and_publish_refuse_a_damaged_table(harm: damage.Damage, commands: Commands, project: Path) -> None:
    place = parquet_of(project / "tribute-data" / "lake", "statements")
    asked = (("sql", project / FILE, "select count(*) from statements"), ("publish", project / FILE))
    with damaged(place, harm, project):
        for arguments in asked:
            ended = commands.run(*arguments)
            assert faults_of(ended, ExitCode.DAMAGED) == [], ended
    for arguments in asked:
        assert commands.run(*arguments).code == ExitCode.DONE


@pytest.mark.slow
@pytest.mark.parametrize(("number", "expected"), [(signal.SIGKILL, ExitCode.KILLED), *SIGNALS.items()])
def test_publishing_that_is_stopped_is_done_by_the_same_command(
    number: int, expected: int, commands: Commands, project: Path
) -> None:
    """A file is whole or not there."""
    publish, files = ("publish", project / FILE), project / "tribute-data" / "published"
    stopped = commands.run(*publish, meanwhile=sent(number, lambda: files.is_dir() and any(files.iterdir())))
    assert faults_of(stopped, expected) == [], stopped
    assert commands.run(*publish).code == ExitCode.DONE
    assert {"publisher-planet.duckdb", "operator.duckdb"} <= {path.name for path in files.iterdir()}


@pytest.mark.slow
def test_publishing_to_a_full_disk_is_refused(commands: Commands, project: Path, tmp_path: Path) -> None:
    if not may_mount():
        pytest.skip("this machine lets nobody mount a disk")
    (tmp_path / "disk").mkdir()
    publish = ("publish", project / FILE, "--to", tmp_path / "disk" / "files")
    with small_disk(tmp_path / "disk", "16m") as disk:
        ballast = fill(disk, 100_000)
        refused = commands.run(*publish)
        assert faults_of(refused, ExitCode.MACHINE) == [], refused
        ballast.unlink()
        assert commands.run(*publish).code == ExitCode.DONE


INGEST_POINTS = ("commit:usage_events", "committed:usage_events", "replace:usage_events/v1-x.parquet")


@pytest.mark.parametrize(
    ("act", "expected"),
    [
        ("SIGKILL", ExitCode.KILLED),
        pytest.param("SIGTERM", ExitCode.TERMINATED, marks=pytest.mark.slow),
        pytest.param("full", ExitCode.MACHINE, marks=pytest.mark.slow),
        pytest.param("torn", ExitCode.KILLED, marks=pytest.mark.slow),
    ],
)
def test_ingesting_that_fails_is_done_by_the_same_command(
    act: str, expected: int, commands: Commands, project: Path
) -> None:
    """Every event counts once, however often its file is read."""
    rows = [
        {"query_id": f"e{number}", "text": article("sports", number, 2), "time": "2026-10-05T12:00:00Z"}
        for number in range(6)
    ]
    (project / "events.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    ingest = ("ingest", project / FILE, project / "events.jsonl", "--batch", 3)
    other = Path(shutil.copytree(project, project.with_name("other")))
    assert commands.run("ingest", other / FILE, other / "events.jsonl", "--batch", 3).code == ExitCode.DONE
    points = INGEST_POINTS[-1:] if act in ("full", "torn") else INGEST_POINTS[:2]
    for point in points:
        failed = commands.run(*ingest, at=point, act=act)
        assert faults_of(failed, expected) == [], failed
    assert commands.run(*ingest).code == ExitCode.DONE
    found, without = (fingerprints(load_project(each / FILE).lake_root) for each in (project, other))
    assert found["usage_events"] == without["usage_events"]


@pytest.mark.slow
@pytest.mark.parametrize("number", SIGNALS)
def test_a_service_ends_at_a_signal(number: int, commands: Commands, project: Path) -> None:
    port = free_port()
    change_settings(project, "serving", port=port)

    def answers() -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200
        except httpx.HTTPError:
            return False

    ended = commands.run("serve", project / FILE, meanwhile=sent(number, answers))
    assert faults_of(ended, SIGNALS[number]) == [], ended


@pytest.mark.slow
def test_a_service_refuses_a_damaged_lake_or_response_and_an_absent_ray(commands: Commands, project: Path) -> None:
    place = parquet_of(project / "tribute-data" / "lake", "simulations")
    with damaged(place, damage.cut, project):
        refused = commands.run("serve", project / FILE)
        assert faults_of(refused, ExitCode.DAMAGED) == [], refused
    for response in (project / "tribute-data" / "artifacts").glob("simulate-*/**/daily.safetensors"):
        response.write_bytes(response.read_bytes()[:-1])
    refused = commands.run("serve", project / FILE)
    assert (refused.code, innards(refused)) == (ExitCode.DAMAGED, []), refused
    assert "did not start: /" in refused.errors and "daily.safetensors is damaged" in refused.errors, refused
    change_settings(project, "cluster", address="127.0.0.1:9", start_timeout_s=3.0)
    absent = commands.run("serve", project / FILE)
    assert faults_of(absent, ExitCode.MACHINE) == [], absent
