"""What commands under faults need: Ray, a process that forks them, a small disk, the script without a fault."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.commands import Commands
from tests.chaos.ray_cluster import OwnRay
from tests.chaos.script import SCRIPT, Reference, reference
from tests.faults import may_mount, small_disk

LOST_RAY = {"RAY_gcs_rpc_server_reconnect_timeout_s": "5"}
"""Environment in which a command does not wait for a minute for a head of Ray that is gone."""
DISK = "64m"


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
def made_world(root: Path, steps: int = len(SCRIPT), made: Path | None = None) -> Iterator[World]:
    """A world in a folder.

    Args:
        steps: of the script.
        made: the folder of a reference that was made before; Ray starts when it is needed.
    """
    with ExitStack() as stack:
        ray, commands = OwnRay(), Commands(root / "streams", LOST_RAY)
        stack.callback(ray.close)
        stack.callback(commands.close)
        found = Reference.of(made) if made else reference(root / "reference", commands, ray, steps)
        place = root / "projects"
        place.mkdir()
        disk = stack.enter_context(small_disk(place, DISK)) if may_mount() else None
        yield World(place, disk, commands, ray, found)
