"""The output of a stage."""

from typing import NamedTuple


class StageOutput(NamedTuple):
    """The run id of a stage's output, whether this call committed it, and a one-line summary."""

    run_id: str
    new: bool
    summary: str
