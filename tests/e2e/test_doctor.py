"""The doctor finds everything that faults leave behind, and a repair costs nothing that a statement rests on."""

import hashlib
import json
import os
import shutil
import time
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.e2e.doctoring import FAULTS, PERIOD, final, flip, old
from tests.statements import revised, statements
from tests.unit.jobs.commanding import project_with, tribute
from tribute.catalog import recorded_artifacts
from tribute.config import Project, load_project
from tribute_jobs.doctor.examination import sections
from tribute_jobs.doctor.fault import Fault
from tribute_jobs.doctor.repair import planned, repair
from tribute_jobs.doctor.subject import ExaminedProject
from tribute_jobs.inquiries.audit import verdict_with_project
from tribute_jobs.pipeline import run
from tribute_jobs.progress import JsonReporter


@pytest.fixture(scope="module")
def closed(finished_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The finished project, closed."""
    folder = tmp_path_factory.mktemp("doctor") / "press"
    shutil.copytree(finished_folder, folder)
    run(load_project(folder / "project.yaml"), PERIOD, JsonReporter(), "close")
    return folder


@pytest.fixture
def project(closed: Path, tmp_path: Path) -> Project:
    return copy_of(closed, tmp_path / "copy")


def copy_of(closed: Path, folder: Path) -> Project:
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(closed, folder)
    return load_project(folder / "project.yaml")


def faults(project: Project, hours: float = 24.0) -> dict[str, Fault]:
    return {fault.what: fault for each in sections(ExaminedProject(project, hours)) for fault in each.faults}


def relied_on(project: Project) -> dict[str, str]:
    """The digests of all files that final statements rest on, and of the rows of every table's log."""
    named = [each.path for each in recorded_artifacts(project) if each.table in ("settled_files", "bundles")]
    logged = [path for path in Path(project.lake_root).rglob("*") if path.suffix == ".json"]
    rows = [path for path in Path(project.lake_root).rglob("*.parquet") if path.name != "v1-x.parquet"]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in (*named, *logged, *rows)}


def test_every_fault_is_named_with_its_remedy_and_repaired_where_that_is_safe(project: Project) -> None:
    moved = faults(project)  # the copy has another path than MLflow remembers
    assert [fault.grave for fault in moved.values()] == [False] and "places in" in next(iter(moved))
    told = {name: each.make(project) for name, each in FAULTS.items()}
    found = faults(project)
    for name, words in told.items():
        [fault] = [fault for what, fault in found.items() if what.startswith(words)]
        assert FAULTS[name].remedy in fault.remedy, (name, fault)
        assert (fault.repair is not None) is FAULTS[name].repaired, (name, fault)
    assert len(found) == len(told) + len(moved)
    examined = ExaminedProject(project)
    assert [each for each in repair(list(sections(examined))) if each.problem] == []
    left = faults(project)
    gone = {words for name, words in told.items() if FAULTS[name].repaired}
    again = [what for what in left if what.endswith("is missing")]
    assert not [what for what in left if what not in again and any(what.startswith(words) for words in gone)]
    flip(final(project) / "bundle.json")  # put back from a copy
    run(project, PERIOD, JsonReporter(), "simulate")
    run(project, PERIOD, JsonReporter(), "close")
    again = faults(project)
    assert {name for name, words in told.items() if any(w.startswith(words) for w in again)} == {"stray folder"}


SLOW = {"trashed experiment"}
"""Needs MLflow, which takes seconds to import."""


@settings(max_examples=2, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(chosen=st.sets(st.sampled_from(sorted(FAULTS.keys() - {"flipped bundle"} - SLOW)), min_size=3))
def test_a_repair_leaves_what_statements_rest_on(closed: Path, tmp_path: Path, chosen: set[str]) -> None:
    project = copy_of(closed, tmp_path / uuid4().hex)
    before = relied_on(project)
    for name in sorted(chosen):
        FAULTS[name].make(project)
    done = repair(list(sections(ExaminedProject(project, 0.0))))
    assert [each for each in done if each.problem] == []
    assert relied_on(project) == before
    found = verdict_with_project(final(project) / "bundle.json", None, project)
    assert (found.problems, found.compared) == ([], True)
    assert planned(list(sections(ExaminedProject(project, 0.0)))) == []


def test_a_half_closed_month_a_newer_lake_and_a_clock_that_went_back_are_named(tmp_path: Path) -> None:
    versions = {"settle-1": [revised(each, {"status": "final"}) for each in statements(period=PERIOD)]}
    project = load_project(project_with(tmp_path, versions))
    table = Path(project.lake_root) / "of_tomorrow"
    (table / "_delta_log").mkdir(parents=True)
    ahead = project.artifacts / "x"
    old(ahead)
    os.utime(ahead, (time.time() + 86_400,) * 2)
    found = faults(project)
    what = f"version 1 of {PERIOD} is final, and was not signed: its closing was interrupted"
    assert found[what].remedy == f"Complete it: tribute close PROJECT.yaml --period {PERIOD}"
    assert found[f"{table} is a table that this version does not know"].remedy.startswith("Install the release")
    assert f"1 files, such as {ahead}, changed in the future by this machine's clock" in found


def test_the_command_lists_first_asks_and_changes_nothing_without_a_yes(project: Project) -> None:
    path = project.workdir.parent / "project.yaml"
    left = FAULTS["temporary file"].make(project)
    asked = tribute("doctor", path, "--repair")
    assert asked.code == 2 and asked.text.endswith("Add --yes to do them") and Path(left).exists()
    done = tribute("doctor", path, "--repair", "--yes")
    assert done.code == 0 and f"delete {left}" in done.text and "done" in done.text and not Path(left).exists()
    listed = tribute("doctor", path, "--json")
    assert listed.code == 0
    again = tribute("doctor", path, "--repair", "--yes")
    assert (again.code, again.text.strip()) == (0, "Nothing to repair.")
    flip(final(project) / "bundle.json")
    lost = tribute("doctor", path, "--repair", "--yes")
    assert lost.code == 1 and "BAD" in lost.text and "bundle.json" in lost.text
    named = {each["name"] for each in json.loads(listed.text)}
    assert named >= {"artifacts", "months", "tracking", "times", "temporary"}
