"""What commands under faults need: Ray, a process that forks them, a small disk, the script without a fault."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.chaos.commands import Commands
from tests.chaos.ray_cluster import OwnRay
from tests.chaos.script import NAMES, SCRIPT, Reference, reference
from tests.faults import may_mount, small_disk
from tests.shared import made_once

LOST_RAY = {"RAY_gcs_rpc_server_reconnect_timeout_s": "5"}
"""Environment in which a command does not wait for a minute for a head of Ray that is gone."""
DISK = "64m"
EVERY_STEP, QUICK_STEPS = range(len(SCRIPT)), range(NAMES.index("settle"), NAMES.index("close") + 1)


@dataclass(frozen=True)
class World:
    """What commands under faults need.

    Attributes:
        root: a folder for projects, on a small disk if this machine allows one.
        disk: that disk.
        reference: the script without a fault.
    """

    root: Path
    disk: Path | None
    commands: Commands
    ray: OwnRay
    reference: Reference


@contextmanager
def made_world(
    root: Path, steps: range = EVERY_STEP, made: Path | None = None, plant: str = ""
) -> Iterator[World]:
    """A world in a folder.

    Args:
        steps: of the script.
        made: the folder of a reference that was made before; Ray starts when it is needed.
        plant: a mistake in the product; see `planted`.
    """
    with ExitStack() as stack:
        ray, commands = OwnRay(), Commands(root / "streams", LOST_RAY, plant)
        stack.callback(ray.close)
        stack.callback(commands.close)
        found = Reference.of(made) if made else reference(root / "reference", commands, ray, steps)
        place = root / "projects"
        place.mkdir()
        disk = stack.enter_context(small_disk(place, DISK)) if may_mount() else None
        yield World(place, disk, commands, ray, found)


def made_script(factory: pytest.TempPathFactory, steps: range) -> Path:
    """The folder of a reference, made once for all tests of a run."""

    def make(folder: Path) -> None:
        with made_world(folder / "making", steps) as making:
            shutil.copytree(making.reference.root, folder / "reference")

    return made_once(factory, f"script-{steps.start}-{steps.stop}", make) / "reference"


def steps_of(request: pytest.FixtureRequest) -> range:
    """The steps that tests need: settling and closing, or all where slow tests were asked for."""
    return QUICK_STEPS if request.config.getoption("-m") == "not slow" else EVERY_STEP
