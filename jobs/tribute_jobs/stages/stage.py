"""What every stage returns."""

from typing import NamedTuple


class StageOutput(NamedTuple):
    """The run that a stage's output is committed under, whether this call made it, and a line about it."""

    run_id: str
    new: bool
    summary: str
