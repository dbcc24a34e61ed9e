"""Progress of a run: bars and lines for people, JSON lines for programs."""

import json
from collections.abc import Mapping, Sequence
from typing import Protocol, TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from tribute_jobs.printing import styled

STAGES = {
    "corpus": "Reads the corpus and counts the tokens of each source.",
    "train": "Trains the model several times, each time with other random numbers, and records every step.",
    "simulate": "Runs the last training steps again without each source, and retrains a few models to check.",
    "attribute": "Measures how much each source helped each query. A query is one use of the model.",
    "value": "Adds this up by publisher, with 95% intervals taken from the retrained models.",
    "settle": "Divides the month's money in proportion to value and writes a statement for each publisher.",
    "evaluate": "Retrains the model without sources, compares with the values and writes a certificate.",
    "close": "Makes the month final: signs its statements and posts them to the ledger.",
    "restate": "Issues a closed month again as its next version.",
}
"""What each stage does, in one sentence."""


class Reporter(Protocol):
    """Receives the progress of a run's stages."""

    def planned(self, kept: Sequence[str], again: Mapping[str, str]) -> None:
        """Stages whose output is kept, and why others run again: before they do."""
        ...

    def started(self, stage: str, run_id: str) -> None:
        """A stage begins to work."""
        ...

    def advanced(self, done: int, total: int) -> None:
        """The stage has finished `done` of `total` jobs."""
        ...

    def finished(self, stage: str, run_id: str, new: bool, summary: str) -> None:
        """The stage's output is committed; `new` if this run committed it."""
        ...

    def warned(self, message: str) -> None:
        """Something went wrong that fails nothing."""
        ...


class PeopleReporter:
    """For each stage: what it does, a bar while it works, and its result."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def planned(self, kept: Sequence[str], again: Mapping[str, str]) -> None:
        """Print a line for each stage that runs again."""
        for stage, why in again.items():
            self._console.print(styled(f"  {stage:<11}", ("again", "yellow"), f"  {why}"), soft_wrap=True)
        if again and kept:
            self._console.print(f"  {'':<11}kept   {', '.join(kept)}", style="dim", soft_wrap=True)

    def started(self, stage: str, run_id: str) -> None:
        """Show the bar of the stage, if someone is watching."""
        del run_id
        if not self._console.is_terminal:
            return
        self._bar = Progress(
            TextColumn("  {task.description:<10}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left:"),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
        )
        self._task = self._bar.add_task(stage, total=None)
        self._bar.start()

    def advanced(self, done: int, total: int) -> None:
        """Move the bar."""
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=done, total=total)

    def finished(self, stage: str, run_id: str, new: bool, summary: str) -> None:
        """Take the bar away and print the stage's line."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
        if about := STAGES.get(stage):
            self._console.print(styled(f"  {stage:<11}", (about, "dim")), soft_wrap=True)
        heading = "" if about else stage
        mark = ("done", "green") if new else ("kept", "dim")
        line = styled(f"  {heading:<11}", mark, f"  {summary}  ", (run_id, "dim"))
        self._console.print(line, soft_wrap=True)

    def warned(self, message: str) -> None:
        """Print the warning."""
        self._console.print(styled("  ", ("warning", "yellow"), f"    {message}"), soft_wrap=True)


class JsonReporter:
    """One JSON object a line, on standard output unless another stream is given."""

    _out: TextIO | None = None

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out

    def planned(self, kept: Sequence[str], again: Mapping[str, str]) -> None:
        """`{"event": "planned", ...}`."""
        self._print(event="planned", kept=list(kept), again=dict(again))

    def started(self, stage: str, run_id: str) -> None:
        """`{"event": "started", ...}`."""
        self._print(event="started", stage=stage, run_id=run_id)

    def advanced(self, done: int, total: int) -> None:
        """`{"event": "advanced", ...}`."""
        self._print(event="advanced", done=done, total=total)

    def finished(self, stage: str, run_id: str, new: bool, summary: str) -> None:
        """`{"event": "finished", ...}`."""
        self._print(event="finished", stage=stage, run_id=run_id, new=new, summary=summary)

    def warned(self, message: str) -> None:
        """`{"event": "warned", ...}`."""
        self._print(event="warned", message=message)

    def _print(self, **fields: object) -> None:
        print(json.dumps(fields), file=self._out, flush=True)
