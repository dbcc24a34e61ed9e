"""Progress of a run: bars and lines for people, JSON lines for programs."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from tribute.progress import EVERY_S, OnDone, ProgressFigures, Reporter, TimedReporter
from tribute_jobs.printing import styled, terminal

__all__ = ["STAGES", "JsonReporter", "PeopleReporter", "Reporter", "Reporters", "long_step"]

STAGES = {
    "corpus": "Reads the corpus and counts the tokens of each source.",
    "train": "Trains the model several times, each time with other random numbers, and records every step.",
    "simulate": "Runs the last training steps again without each source.",
    "attribute": "Measures how much each source helped each query. A query is one use of the model.",
    "retrain": "Trains again without some sources, until values are as precise as asked for.",
    "value": "Adds values up by publisher, with 95% intervals.",
    "settle": "Divides the month's money in proportion to value and writes a statement for each publisher.",
    "evaluate": "Retrains the model without sources, compares with the values and writes a certificate.",
    "close": "Makes the month final: signs its statements and posts them to the ledger.",
    "restate": "Issues a closed month again as its next version.",
}
"""What each stage does, in one sentence."""


class PeopleReporter(TimedReporter):
    """For each stage: what it does, how far it is, and its result.

    On a terminal a bar moves; elsewhere a line is printed every `every_s` seconds.
    """

    def __init__(self, console: Console, every_s: float = EVERY_S) -> None:
        super().__init__(1.0 if console.is_terminal else every_s)
        self._console, self._explained = console, ""
        self._bar: Progress | None = None

    def planned(self, kept: Sequence[str], again: Mapping[str, str]) -> None:
        """Print a line for each stage that runs again."""
        for stage, why in again.items():
            self._console.print(styled(f"  {stage:<11}", ("again", "yellow"), f"  {why}"), soft_wrap=True)
        if again and kept:
            self._console.print(f"  {'':<11}kept   {', '.join(kept)}", style="dim", soft_wrap=True)

    def started(self, stage: str, run_id: str) -> None:
        """Say what the stage does, and show its bar if someone is watching."""
        super().started(stage, run_id)
        self._explain(stage)
        if self._console.is_terminal:
            columns = TextColumn("  {task.description:<10}", markup=False), BarColumn(), TimeElapsedColumn()
            figures = TextColumn("{task.fields[figures]}", markup=False)
            self._bar = Progress(*columns, figures, console=self._console, transient=True)
            self._bar.add_task(stage, total=None, figures="")
            self._bar.start()

    def tell(self, figures: ProgressFigures) -> None:
        """Move the bar, or print the line."""
        if self._bar is None:
            self._console.print(styled(f"  {figures.stage:<11}", figures.text()), soft_wrap=True)
        else:
            for task in self._bar.task_ids:
                self._bar.update(task, completed=figures.done or 0, total=figures.total, figures=figures.text())

    def finished(self, stage: str, run_id: str, new: bool, summary: str) -> None:
        """Take the bar away and print the stage's line."""
        self.close()
        self._explain(stage)
        heading = "" if stage in STAGES else stage
        mark = ("done", "green") if new else ("kept", "dim")
        line = styled(f"  {heading:<11}", mark, f"  {summary}  ", (run_id, "dim"))
        self._console.print(line, soft_wrap=True)

    def warned(self, message: str) -> None:
        """Print the warning."""
        self._console.print(styled("  ", ("warning", "yellow"), f"    {message}"), soft_wrap=True)

    def close(self) -> None:
        """Take the bar away."""
        super().close()
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _explain(self, stage: str) -> None:
        """Print what a stage does, once."""
        if stage in STAGES and stage != self._explained:
            self._console.print(styled(f"  {stage:<11}", (STAGES[stage], "dim")), soft_wrap=True)
            self._explained = stage


class JsonReporter(TimedReporter):
    """One JSON object a line, on standard output unless another stream is given."""

    _out: TextIO | None = None

    def __init__(self, out: TextIO | None = None, every_s: float = EVERY_S) -> None:
        super().__init__(every_s)
        self._out = out

    def planned(self, kept: Sequence[str], again: Mapping[str, str]) -> None:
        """`{"event": "planned", ...}`."""
        self._print(event="planned", kept=list(kept), again=dict(again))

    def started(self, stage: str, run_id: str) -> None:
        """`{"event": "started", ...}`; nothing of work that makes no run, such as the check before."""
        if run_id:
            self._print(event="started", stage=stage, run_id=run_id)
        super().started(stage, run_id)

    def tell(self, figures: ProgressFigures) -> None:
        """`{"event": "advanced", ...}`, with the fields of `ProgressFigures`."""
        self._print(event="advanced", **figures._asdict())

    def finished(self, stage: str, run_id: str, new: bool, summary: str) -> None:
        """`{"event": "finished", ...}`."""
        super().finished(stage, run_id, new, summary)
        self._print(event="finished", stage=stage, run_id=run_id, new=new, summary=summary)

    def warned(self, message: str) -> None:
        """`{"event": "warned", ...}`."""
        self._print(event="warned", message=message)

    def _print(self, **fields: object) -> None:
        print(json.dumps(fields), file=self._out, flush=True)


class Reporters:
    """Passes everything on to several reporters."""

    def __init__(self, *reporters: Reporter) -> None:
        self._reporters = reporters

    def planned(self, kept: Sequence[str], again: Mapping[str, str]) -> None:
        """See `Reporter`."""
        for each in self._reporters:
            each.planned(kept, again)

    def started(self, stage: str, run_id: str) -> None:
        """See `Reporter`."""
        for each in self._reporters:
            each.started(stage, run_id)

    def working(self, part: str) -> None:
        """See `Reporter`."""
        for each in self._reporters:
            each.working(part)

    def advanced(self, done: float, total: int) -> None:
        """See `Reporter`."""
        for each in self._reporters:
            each.advanced(done, total)

    def finished(self, stage: str, run_id: str, new: bool, summary: str) -> None:
        """See `Reporter`."""
        for each in self._reporters:
            each.finished(stage, run_id, new, summary)

    def warned(self, message: str) -> None:
        """See `Reporter`."""
        for each in self._reporters:
            each.warned(message)

    def close(self) -> None:
        """See `Reporter`."""
        for each in self._reporters:
            each.close()


@contextmanager
def long_step(name: str, every_s: float = EVERY_S) -> Iterator[OnDone]:
    """Tell on standard error how far a command is that may take long; its result alone goes to standard output.

    Yields:
        To be called with what is done and the total.
    """
    with closing(PeopleReporter(terminal(stderr=True), every_s)) as reporter:
        reporter.started(name, "")
        yield reporter.advanced
