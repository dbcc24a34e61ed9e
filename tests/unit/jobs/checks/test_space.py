"""Memory and disk: predicted, and refused where they cannot suffice."""

from pathlib import Path

import pytest

from tests.unit.jobs.checks.checking import spoiled, subject
from tribute.errors import ConfigError
from tribute_jobs.checks.space import GIB, check_disk, check_memory, enough_disk, enough_memory

HERE = Path("here")


def test_what_cannot_fit_on_the_disk_is_refused_with_its_size() -> None:
    sizes = {"checkpoints": 3 * GIB, "responses": GIB}
    with pytest.raises(ConfigError, match=r"2.00 GiB free, and this run writes 4.00 GiB: 3.00 GiB of checkpoints"):
        enough_disk(sizes, 0, 2 * GIB, HERE)
    assert enough_disk(sizes, 0, 40 * GIB, HERE) == ("4.00 GiB to write, 40.00 GiB free", ())
    assert "nearly full: 4.50 GiB of 5.00 GiB in here" in enough_disk(sizes, GIB // 2, 5 * GIB, HERE).warnings[0]


def test_what_cannot_fit_in_memory_is_refused_and_what_is_tight_is_said() -> None:
    with pytest.raises(ConfigError, match=r"take 9.0 GiB, and this machine has 8.0 GiB"):
        enough_memory("", 9.0, 1, 10.0, 8.0)
    assert enough_memory("fine", 1.0, 2, 2.0, 8.0) == ("fine", ())
    assert "2 workers may take 12.0 GiB" in enough_memory("", 1.0, 2, 6.0, 8.0).warnings[0]


def test_the_files_of_a_run_are_predicted(tmp_path: Path) -> None:
    """7,920 parameters with two moments, 11 states and 2 replicates; 4 + 2 responses and 3 retrains of each."""
    seen = check_disk(subject(spoiled(tmp_path)))
    assert seen is not None and seen.text.startswith("0.00 GiB to write")
    training = {"learning_rate": 0.01, "batch_size": 8, "epochs": 2, "replicates": 10**7}
    with pytest.raises(ConfigError, match=r"of checkpoints, .* of responses. Free some, set workdir"):
        check_disk(subject(spoiled(tmp_path, training=training)))


def test_trajectories_larger_than_their_budget_are_refused(tmp_path: Path) -> None:
    simulation = {"horizon": 0.3, "chunk": 2, "memory_gib": 0.0001}
    with pytest.raises(ConfigError, match=r"simulation.memory_gib is 0.0001, but one unit of this simulation"):
        check_memory(subject(spoiled(tmp_path, simulation=simulation)))
    assert check_memory(subject(spoiled(tmp_path))) is not None


def test_estimators_are_not_sized_here(tmp_path: Path) -> None:
    project = spoiled(tmp_path, attribution={"method": "for_value"}, simulation={}, valuation={"budget": 0})
    assert check_memory(subject(project)) is None
