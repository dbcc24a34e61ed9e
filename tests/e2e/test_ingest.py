"""Ingested usage is paid exactly as usage in a file, in any order; late events are paid later."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from tests.e2e.conftest import PERIOD
from tests.e2e.tables import fingerprints
from tests.projects import RETRAINED, article, write_project
from tribute.config import Project, load_project
from tribute.errors import CorpusError
from tribute_jobs.commands.ingest import figures, ingest_files
from tribute_jobs.pipeline import run
from tribute_jobs.progress import JsonReporter
from tribute_storage import Lake, open_tables

COMMAND = [sys.executable, "-m", "tribute_jobs.cli", "ingest"]
LATE = {"query_id": "q9", "text": article("sports", 2000, sentences=3), "time": "2026-10-31T23:00:00+00:00"}


def write_lines(path: Path, rows: list[dict]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def usage_rows(project: Project) -> list[dict]:
    return [json.loads(line) for line in (project.workdir.parent / "usage.jsonl").read_text().splitlines()]


def statements(project: Project) -> list[tuple[int, int]]:
    with open_tables(project.lake_root) as lake:
        return lake.execute(
            "select statement_version, sum(amount_minor) from statements group by all order by all"
        ).fetchall()


@pytest.fixture(scope="module")
def ingested(tmp_path_factory: pytest.TempPathFactory, ray_cluster: None) -> Project:  # noqa: ARG001
    """The usage of `finished`, from two files that overlap and are in no order, in commits of five events."""
    folder = tmp_path_factory.mktemp("ingested")
    project = load_project(write_project(folder, valuation=RETRAINED, queries={"kind": "ingested"}))
    rows = usage_rows(project)
    files = [write_lines(folder / "1.jsonl", rows[9:3:-1]), write_lines(folder / "2.jsonl", rows[7:] + rows[:6])]
    found = ingest_files(project, files, JsonReporter(), batch=5)
    assert (found.events, found.duplicates, found.conflicts, found.periods) == (17, 5, (), {PERIOD: 12})
    run(project, PERIOD, JsonReporter())
    return project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return load_project(write_project(tmp_path / "press", valuation=RETRAINED, queries={"kind": "ingested"}))


def test_ingested_usage_is_paid_like_a_file_bit_for_bit(ingested: Project, finished: Project) -> None:
    found, expected = fingerprints(ingested.lake_root), fingerprints(finished.lake_root)
    assert found.pop("usage_events")[0] == 17
    assert expected.pop("usage_events")[0] == 0
    assert found == expected


def test_a_late_event_is_paid_by_a_second_version(ingested: Project, tmp_path: Path) -> None:
    of_november = LATE | {"query_id": "n1", "time": "2026-11-02T00:00:00+00:00"}
    assert ingest_files(ingested, [write_lines(tmp_path / "n.jsonl", [of_november])], JsonReporter()).late == 0
    assert not run(ingested, PERIOD, JsonReporter()).changed
    assert ingest_files(ingested, [write_lines(tmp_path / "late.jsonl", [LATE])], JsonReporter()).late == 1
    assert run(ingested, PERIOD, JsonReporter()).changed
    assert not run(ingested, PERIOD, JsonReporter()).changed
    assert statements(ingested) == [(1, 100001), (2, 100001)]


def test_without_the_setting_no_text_goes_into_the_lake(tmp_path: Path) -> None:
    project = load_project(write_project(tmp_path / "press"))
    ingest_files(project, [write_lines(tmp_path / "events.jsonl", usage_rows(project))], JsonReporter())
    with open_tables(project.lake_root) as lake:
        kept = lake.execute("select count(*), count(content_json), count(content_sha256) from usage").fetchone()
    assert kept == (12, 0, 12)


def test_nothing_of_a_bad_file_is_committed(project: Project, tmp_path: Path) -> None:
    rows = usage_rows(project)
    good = write_lines(tmp_path / "good.jsonl", rows[:4])
    bad = write_lines(tmp_path / "bad.jsonl", [*rows[4:11], rows[11] | {"time": None}])
    with pytest.raises(CorpusError, match=r"bad\.jsonl, row 8: column 'time' is empty"):
        ingest_files(project, [good, bad], JsonReporter(), batch=2)
    with open_tables(project.lake_root) as lake:
        assert lake.execute("select count(*) from usage_events").fetchone() == (4,)


def test_conflicts_are_a_warning(project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    later = LATE | {"time": "2026-10-31T23:30:00+00:00", "text": "something else altogether"}
    found = ingest_files(project, [write_lines(tmp_path / "events.jsonl", [LATE, later])], JsonReporter())
    assert figures(found) == {
        "events": 2,
        "duplicates": 1,
        "conflicts": 1,
        "conflicting_ids": ["q9"],
        "in_two_months": 0,
        "late": 0,
        "periods": {"2026-10": 1},
        "batches": 1,
    }
    [warned] = [line for line in capsys.readouterr().out.splitlines() if json.loads(line)["event"] == "warned"]
    assert "1 query ids have more than one content, such as 'q9'" in warned


def test_it_waits_for_no_lock(project: Project, tmp_path: Path) -> None:
    project.workdir.mkdir()
    with FileLock(project.workdir / ".lock"):
        assert ingest_files(project, [write_lines(tmp_path / "1.jsonl", [LATE])], JsonReporter()).batches == 1


def test_the_command_takes_files_and_standard_input(project: Project, tmp_path: Path) -> None:
    path = str(project.workdir.parent / "project.yaml")
    rows = usage_rows(project)
    piped = "".join(json.dumps(row) + "\n" for row in rows[:3])
    file = write_lines(tmp_path / "events.jsonl", rows[2:6])
    command = [*COMMAND, path, "-", file, "--batch", "2", "--json"]
    done = subprocess.run(command, input=piped, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    ended = json.loads(done.stdout.splitlines()[-1])
    assert ended["event"] == "ended"
    assert (ended["events"], ended["duplicates"], ended["periods"]) == (7, 1, {"2026-10": 6})
    assert Lake(project.lake_root).version("usage_events") == ended["batches"] - 1


def test_the_command_tells_bad_input_without_a_traceback(project: Project) -> None:
    path = str(project.workdir.parent / "project.yaml")
    rows = [*usage_rows(project), LATE | {"weight": "much"}]
    piped = "".join(json.dumps(row) + "\n" for row in rows)
    done = subprocess.run([*COMMAND, path, "-"], input=piped, text=True, capture_output=True, check=False)
    assert done.returncode == 2
    assert "/dev/stdin, row 13: column 'weight' is 'much'" in done.stderr
    assert "Traceback" not in done.stderr
    assert not Path(Lake(project.lake_root).root, "usage_events").exists()
