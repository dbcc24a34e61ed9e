"""Drawn faults over two months: nothing is lost or doubled, no traceback; mistakes in the product are noticed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.faults import EXPECTED, Fault, killed, refused_write, torn_write
from tests.chaos.judging import Outcome, Plan, drawn_plan, judged
from tests.chaos.run import figures_of
from tests.chaos.script import NAMES
from tests.chaos.world import World, made_script, made_world, steps_of

SEEDS, WITHIN = 100, 20


@pytest.fixture(scope="module")
def script(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run without a fault."""
    return made_script(tmp_path_factory, steps_of(request))


@pytest.fixture(scope="module")
def world(script: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with made_world(tmp_path_factory.mktemp("chaos"), made=script) as found:
        yield found


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(SEEDS))
def test_drawn_faults_lose_nothing(seed: int, world: World) -> None:
    outcome = judged(seed, world)
    assert outcome.problems == []
    assert (outcome.lost, outcome.doubled, outcome.tracebacks) == (0, 0, 0)


def test_seeds_hit_every_step_and_fault() -> None:
    plans = [drawn_plan(seed, True) for seed in range(SEEDS)]
    assert {NAMES[plan.first + place] for plan in plans for place in range(len(plan.faults))} == {*NAMES}
    assert {fault for plan in plans for faults in plan.faults for fault in faults} == {*EXPECTED}


def test_a_seed_draws_the_same_whether_disks_can_be_mounted_or_not() -> None:
    for seed in range(SEEDS):
        whole, without = drawn_plan(seed, True), drawn_plan(seed, False)
        assert whole.first == without.first
        for one, other in zip(whole.faults, without.faults, strict=True):
            assert [fault for fault in one if fault in other] == [*other]


def noticed(script: Path, root: Path, plant: str, *faults: Fault) -> Outcome:
    """The first outcome that is not well, of seeds that meet such faults with a mistake in the product."""
    plan = Plan(NAMES.index("settle"), (faults, faults))
    with made_world(root, made=script, plant=plant) as world:
        for seed in range(WITHIN):
            if (outcome := judged(seed, world, plan)).problems:
                return outcome
    raise AssertionError(f"{plant} is not noticed in {WITHIN} seeds")


@pytest.mark.slow
def test_commits_without_the_name_of_their_run_double_rows(script: Path, tmp_path: Path) -> None:
    assert noticed(script, tmp_path / "world", "nameless_commits", killed).doubled > 0


@pytest.mark.slow
def test_files_that_are_written_in_place_are_noticed(script: Path, tmp_path: Path) -> None:
    assert noticed(script, tmp_path / "world", "direct_writes", torn_write).end == "failed"


@pytest.mark.slow
def test_refusals_that_are_not_told_are_noticed(script: Path, tmp_path: Path) -> None:
    assert noticed(script, tmp_path / "world", "untold_refusals", refused_write).tracebacks > 0


def test_figures_add_up() -> None:
    outcomes = [
        Outcome(3),
        Outcome(4, refusals=2, hit=["full disk: close"]),
        Outcome(5, lost=2, tracebacks=1, problems=[{"found": "ledger: 2 rows missing, 0 too many"}]),
    ]
    figures = figures_of(outcomes, 12.34)
    assert [figures[name] for name in ("seeds", "identical", "refused_resumable", "failed")] == [3, 1, 1, 1]
    assert [figures[name] for name in ("lost", "doubled", "tracebacks", "refusals")] == [2, 0, 1, 2]
    assert figures["faults"] == {"full disk": 1} and figures["failures"][0]["seed"] == 5
