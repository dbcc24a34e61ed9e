"""The project that a lake belongs to. The months of two projects would mix in its books."""

import pyarrow as pa

from tribute_storage.errors import LakeError
from tribute_storage.lake import Lake
from tribute_storage.querying.views import open_tables
from tribute_storage.schemas import SCHEMAS

CLAIM = "owner"
"""The one run of the table `projects`."""


def claim(lake: Lake, project: str) -> None:
    """Note that a lake belongs to a project. The first claim stays, whoever races for it.

    Raises:
        LakeError: it belongs to a project of another name.
    """
    lake.append("projects", CLAIM, pa.table({"run_id": [CLAIM], "project": [project]}, schema=SCHEMAS["projects"]))
    require_own(lake, project)


def require_own(lake: Lake, project: str) -> None:
    """Check that a lake belongs to a project, or to none yet; raises what `claim` raises."""
    with open_tables(lake.root, "projects") as connection:
        owners = [owner for (owner,) in connection.execute("select project from projects").fetchall()]
    if owners and owners != [project]:
        raise LakeError(
            f"The lake {lake.root} belongs to project {owners[0]!r}, and this one is {project!r}. The months of "
            "two projects would mix: give this project a `lake` of its own, or, if it was renamed, its old name"
        )
