"""A list of checks: each gives a line or a problem, and a problem stops none of the others."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import NamedTuple

from tribute.errors import TributeError, itemised
from tribute_jobs.printing import copyable, styled, terminal
from tribute_storage import LakeError


class Passed(NamedTuple):
    """What a check found right, in one line, and warnings for the operator to judge."""

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

    def look(self, name: str, check: Callable[[], Passed | None]) -> bool:
        """Add the result of a check, unless it had nothing to look at; whether it found no problem."""
        try:
            passed = check()
        except (TributeError, LakeError) as error:
            self._errors.append(error)
            self.results.append(CheckResult(name, False, str(error)))
            return False
        if passed is not None:
            self.results.append(CheckResult(name, True, passed.text, passed.warnings))
        return True

    def refuse(self, name: str) -> None:
        """Raise all problems as one error; a single one as it was raised.

        Args:
            name: of the project, for the headline.

        Raises:
            TributeError: there is a problem.
        """
        if len(self._errors) == 1:
            raise self._errors[0]
        wrong = [f"{each.name}: {each.detail}" for each in self.results if not each.fine]
        if wrong:
            headline = f"{name} has {len(wrong)} problems, and nothing was run:"
            raise TributeError(itemised(headline, wrong, len(wrong)))


def print_results(results: Sequence[CheckResult], as_json: bool) -> None:
    """A line per result, further lines of its detail and its warnings below it; or a JSON list."""
    results = [replace(r, detail=copyable(r.detail), warnings=tuple(map(copyable, r.warnings))) for r in results]
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
