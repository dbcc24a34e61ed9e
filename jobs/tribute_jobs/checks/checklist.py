"""Checks of one subject after the other: each says what it saw, or its problem, and the next goes on."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

from tribute.errors import TributeError, joined
from tribute_jobs.printing import styled, terminal
from tribute_storage import LakeError


class Seen(NamedTuple):
    """What a check found to be right, in a line, and what the operator may know better."""

    text: str
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class CheckResult:
    """One thing that was looked at."""

    name: str
    fine: bool
    detail: str
    warnings: tuple[str, ...] = ()


class Checklist:
    """The results of checks, in order."""

    def __init__(self) -> None:
        self.results = list[CheckResult]()
        self._errors = list[TributeError | LakeError]()

    @property
    def fine(self) -> bool:
        """Whether nothing is wrong."""
        return not self._errors

    @property
    def warnings(self) -> list[str]:
        """All warnings."""
        return [warning for each in self.results for warning in each.warnings]

    def look(self, name: str, check: Callable[[], Seen | None]) -> bool:
        """Add the result of a check, unless it looked at nothing; whether nothing is wrong."""
        try:
            seen = check()
        except (TributeError, LakeError) as error:
            self._errors.append(error)
            self.results.append(CheckResult(name, False, str(error)))
            return False
        if seen is not None:
            self.results.append(CheckResult(name, True, seen.text, seen.warnings))
        return True

    def refuse(self, name: str) -> None:
        """Raise all problems of what has this name as one error; a single one as it was raised.

        Raises:
            TributeError: there is a problem.
        """
        if len(self._errors) == 1:
            raise self._errors[0]
        wrong = [f"{each.name}: {each.detail}" for each in self.results if not each.fine]
        if wrong:
            headline = f"{name} has {len(wrong)} problems, and nothing was run:"
            raise TributeError(joined(wrong, headline, len(wrong)))


def print_results(results: Sequence[CheckResult], as_json: bool) -> None:
    """A line per result, further lines of its detail and its warnings below it; or a JSON list."""
    if as_json:
        print(json.dumps([asdict(each) for each in results], indent=2))
        return
    console = terminal()
    for each in results:
        first, *more = each.detail.split("\n")
        mark = ("ok  ", "green") if each.fine else ("BAD ", "red")
        console.print(styled("  ", mark, f" {each.name:<12}{first}"), soft_wrap=True)
        for line in more:
            console.print(styled(f"{'':<19}{line.strip()}"), soft_wrap=True)
        for warning in each.warnings:
            console.print(styled("  ", ("note", "yellow"), f" {each.name:<12}{warning}"), soft_wrap=True)
