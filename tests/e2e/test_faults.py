"""Every stage under every fault: no traceback, the documented exit code, a remedy; then the same tables.

A cell of the table stops a stage at its start, or at a commit; the fault happens, the command ends, the fault is
taken away, and the same command is run again. A few cells, one for each fault, belong to the quick tests.
"""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.chaos import damage
from tests.chaos.commands import Ended
from tests.chaos.damage import Damage, damaged, log_of, parquet_of
from tests.chaos.faults import (
    EXPECTED,
    MOUNTED,
    ON_RAY,
    WITH_RAY,
    Attempt,
    Fault,
    broken_write,
    clock_jump,
    full_disk,
    interrupted,
    killed,
    read_only_disk,
    refused_write,
    terminated,
    tracking_down,
    vanished_folder,
)
from tests.chaos.plain import faults_of
from tests.chaos.script import FILE, FIRST, NAMES, START_S, change_settings, difference, everything
from tests.chaos.world import World, made_script, made_world, steps_of
from tests.fuzz.chance import Chance
from tribute_jobs.exit_codes import ExitCode

STAGES = {
    "corpus": ("train", "start:corpus"),
    "train": ("train", "start:train"),
    "simulate": ("simulate", "start:simulate"),
    "attribute": ("attribute", "start:attribute"),
    "retrain": ("value", "start:retrain"),
    "value": ("value", "start:value"),
    "settle": ("settle", "start:settle"),
    "close": ("close", "start:close"),
    "restate": ("restate", "start:restate"),
    "evaluate": ("evaluate", "start:evaluate"),
}
"""Each stage's step of the script, and the point at which it is reached."""
QUICK = {("settle", terminated), ("close", full_disk), ("settle", vanished_folder)}
"""Cells that are no slow tests."""
RAY_STAGES = ("train", "simulate", "attribute", "retrain", "evaluate")
TRACKED = ("value", "evaluate")


@pytest.fixture(scope="module")
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The script from settling to closing, or all of it where slow tests were asked for."""
    made = made_script(tmp_path_factory, steps_of(request))
    with made_world(tmp_path_factory.mktemp("faults"), made=made) as found:
        yield found


def cell(stage: str, fault: object) -> object:
    marks = [] if (stage, fault) in QUICK else [pytest.mark.slow]
    return pytest.param(stage, fault, marks=marks, id=f"{stage}-{getattr(fault, '__name__', fault)}")


def begun(world: World, step: str, folder: Path, place: str | None = None) -> Attempt:
    """A step of the script, about to be run."""
    number = NAMES.index(step)
    if step in WITH_RAY:
        world.ray.start()
    world.reference.copy(number, folder, world.ray.address)
    return Attempt(world, number, folder, Chance(number), place)


@pytest.fixture
def folder(world: World) -> Iterator[Path]:
    """A place for a project, on the small disk."""
    yield world.root / "project"
    shutil.rmtree(world.root / "project", ignore_errors=True)


def require_same_tables(attempt: Attempt, ended: Ended) -> None:
    """Run the command again unless it is done; it ends well, and in the tables of a run without a fault."""
    if ended.code != ExitCode.DONE:
        again = attempt.run()
        assert again.code == ExitCode.DONE, again
    expected = attempt.world.reference.after(attempt.number)
    assert difference(everything(attempt.folder), expected) == (0, 0, [])


EVERYWHERE = (
    killed, interrupted, terminated, broken_write, refused_write, full_disk, read_only_disk, vanished_folder,
    clock_jump,
)  # fmt: skip
MOMENTS = [
    *((stage, fault) for fault in EVERYWHERE for stage in STAGES),
    *((stage, fault) for fault in ON_RAY for stage in RAY_STAGES),
    *((stage, tracking_down) for stage in TRACKED),
]


@pytest.mark.parametrize(("stage", "fault"), [cell(*moment) for moment in MOMENTS])
def test_a_fault_in_a_stage(stage: str, fault: Fault, world: World, folder: Path) -> None:
    if fault in MOUNTED and world.disk is None:
        pytest.skip("this machine lets nobody mount a disk")
    step, place = STAGES[stage]
    writes = fault in (broken_write, refused_write)
    attempt = begun(world, step, folder, None if writes else place)
    ended = fault(attempt)
    # Nothing may rest on the write, as on what `status` reads; a full disk may have room; Ray may have ended.
    spared = [ExitCode.DONE] if writes or fault in (full_disk, *ON_RAY) else []
    assert faults_of(ended, *EXPECTED[fault], *spared) == [], ended
    assert ended.reached, ended.points
    require_same_tables(attempt, ended)


TABLES = {
    "simulate": ("corpus_sources", "trajectories"),
    "attribute": ("simulations",),
    "value": ("influence", "estimates", "queries"),
    "settle": ("valuations", "rights"),
    "close": ("statements", "statement_lines"),
    "restate": ("ledger", "bundles"),
    "evaluate": ("influence",),
}
"""Tables that a step reads."""
TO_PARQUET = (damage.cut, damage.emptied, damage.flipped, damage.missing, damage.foreign)
TO_LOG = (damage.cut, damage.emptied, damage.missing)


def damage_cells(kinds: tuple[Damage, ...], quick: object) -> list[object]:
    return [
        pytest.param(
            step,
            table,
            kind,
            marks=[] if (step, table, kind) in quick else [pytest.mark.slow],
            id=f"{step}-{table}-{kind.__name__}",
        )
        for step, tables in TABLES.items()
        for table in tables
        for kind in kinds
    ]


def require_refused(attempt: Attempt, path: Path, kind: Damage, *also: int) -> None:
    """Damage is refused as such, and the command goes on once the file is back."""
    with damaged(path, kind, attempt.folder):
        ended = attempt.run()
        assert faults_of(ended, ExitCode.DAMAGED, *also) == [], ended
    require_same_tables(attempt, ended)


@pytest.mark.parametrize(
    ("step", "table", "kind"), damage_cells(TO_PARQUET, {("close", "statements", damage.flipped)})
)
def test_a_damaged_file_of_a_table(step: str, table: str, kind: Damage, world: World, folder: Path) -> None:
    attempt = begun(world, step, folder)
    require_refused(attempt, parquet_of(attempt.workdir / "lake", table), kind)


@pytest.mark.parametrize(("step", "table", "kind"), damage_cells(TO_LOG, {("settle", "valuations", damage.cut)}))
def test_a_damaged_log_of_a_table(step: str, table: str, kind: Damage, world: World, folder: Path) -> None:
    attempt = begun(world, step, folder)
    require_refused(attempt, log_of(attempt.workdir / "lake", table), kind)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("step", "table"),
    [(step, table) for step, tables in TABLES.items() for table in tables],
)
def test_a_deleted_log_or_table(step: str, table: str, world: World, folder: Path) -> None:
    attempt = begun(world, step, folder)
    place = attempt.workdir / "lake" / table
    for gone in (place / "_delta_log", place):
        with damaged(gone, damage.folder_gone, folder):
            ended = attempt.run()
            assert faults_of(ended, ExitCode.DAMAGED) == [], (gone, ended)
    require_same_tables(attempt, ended)


ARTIFACTS = {
    "response": ("attribute", "simulate-*/**/daily.safetensors"),
    "checkpoint": ("simulate", "train-*/**/step-00000016.safetensors"),
    "retrained response": ("value", "retrain-*/**/*.safetensors"),
    "snapshot": ("simulate", "corpus-*/train-00000.shard"),
    "manifest": ("attribute", "corpus-*/manifest.json"),
}
"""Kinds of artifacts: a step that reads them, and where they lie."""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ARTIFACTS)
@pytest.mark.parametrize("harm", [damage.flipped, damage.cut, damage.missing])
def test_a_damaged_artifact_is_refused_or_made_again(kind: str, harm: Damage, world: World, folder: Path) -> None:
    step, pattern = ARTIFACTS[kind]
    attempt = begun(world, step, folder)
    [path, *_] = sorted((attempt.workdir / "artifacts").glob(pattern))
    require_refused(attempt, path, harm, ExitCode.DONE)


@pytest.mark.parametrize("name", ["planet.json", pytest.param("bundle.json", marks=pytest.mark.slow)])
@pytest.mark.parametrize("harm", [damage.flipped, pytest.param(damage.cut, marks=pytest.mark.slow)])
def test_a_damaged_statement_is_found(name: str, harm: Damage, world: World, folder: Path) -> None:
    world.reference.copy(NAMES.index("second month"), folder, "local")
    place = folder / "tribute-data" / "statements" / f"{FIRST}-v2" / name
    with damaged(place, harm, folder):
        for asked in (("verify", place), ("doctor", folder / FILE)):
            ended = world.commands.run(*asked)
            assert faults_of(ended, ExitCode.FOUND, ExitCode.INPUT) == [], ended


def absent_ray(attempt: Attempt) -> Ended:
    """Nobody answers at the address."""
    change_settings(attempt.folder, "cluster", address="127.0.0.1:9", start_timeout_s=3.0)
    return restored(attempt)


def slow_ray(attempt: Attempt) -> Ended:
    """Ray has no room for the workers in time."""
    change_settings(attempt.folder, "cluster", workers=40, start_timeout_s=2.0)
    return restored(attempt)


def restored(attempt: Attempt) -> Ended:
    try:
        return attempt.run()
    finally:
        change_settings(
            attempt.folder, "cluster", address=attempt.world.ray.address, workers=1, start_timeout_s=START_S
        )


@pytest.mark.parametrize(
    ("stage", "fault"),
    [cell(stage, fault) for stage in RAY_STAGES for fault in (absent_ray, slow_ray)],
)
def test_ray_that_does_not_come(stage: str, fault: Callable[[Attempt], Ended], world: World, folder: Path) -> None:
    attempt = begun(world, STAGES[stage][0], folder)
    ended = fault(attempt)
    assert faults_of(ended, ExitCode.MACHINE) == [], ended
    assert ended.seconds < 60
    require_same_tables(attempt, ended)
