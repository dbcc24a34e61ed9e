"""`tribute reverse`: shows versions that were issued twice, or reverses a run and says what to do next."""

import json
from collections.abc import Iterator

from tribute.config import Project
from tribute.royalty.exact import Money
from tribute_jobs.printing import Heading, print_table, terminal, wrapped
from tribute_jobs.reversal.doubles import double_finals
from tribute_jobs.reversal.reversing import Reversal, reverse, reversed_because


def print_double_finals(project: Project, period: str, as_json: bool) -> None:
    """The versions of a month that were issued twice; writes nothing."""
    doubles = [each for each in double_finals(project) if each.period == period]
    if as_json:
        found = [
            {"period": each.period, "version": each.version, "runs": [run.run_id for run in each.runs]}
            for each in doubles
        ]
        print(json.dumps({"double_finals": found}))
    for each in () if as_json else doubles:
        print("\n".join(wrapped(each.problem)))
    if not doubles and not as_json:
        print(f"Every final version of {period} was issued once: there is nothing to reverse.")


def print_reversal(project: Project, period: str, run_id: str, reason: str, as_json: bool) -> None:
    """Reverse a run, unless it is reversed already, and print what differs and what to do next."""
    known = reversed_because(project, run_id)
    if known is not None:
        text = f"Run {run_id} is reversed already: {known}."
        print(json.dumps({"reversed_run": run_id, "reason": known, "new": False}) if as_json else text)
        return
    reversal = reverse(project, period, run_id, reason)
    if as_json:
        print(json.dumps(_json(reversal, reason)))
        return
    print(
        f"Version {reversal.version} of {period}: run {run_id} is void, run {reversal.standing.run_id} stands. "
        "Nothing was deleted; the void statements are in the lake's history."
    )
    if reversal.differences:
        rows = [
            (each.publisher_id, *(Money(minor, each.currency).text() for minor in each[2:]))
            for each in reversal.differences
        ]
        headings = (Heading("publisher", right=False), Heading("stands"), Heading("void"))
        print_table(terminal(), headings, rows)
    for step in _steps(reversal):
        print("\n".join(wrapped(step)))


def _steps(reversal: Reversal) -> Iterator[str]:
    period, void, standing = reversal.period, reversal.void, reversal.standing
    yield (
        f"Write and sign what stands, where that is not done: tribute close PROJECT.yaml --period {period}. It "
        "also sets the files of the void statements aside, in the folder that has them."
    )
    yield (
        "Statements of both runs have the same ids. Tell every publisher that has one of "
        f"{void.run_id} that it is void, and send the one of {standing.run_id}."
    )
    if reversal.differences:
        yield (
            f"If the void amounts are the right ones, put back the settings that gave them and restate: tribute "
            f"restate PROJECT.yaml --period {period} --reason WHY. The next month then pays the difference."
        )
        yield (
            "If money was sent by the void statements, settle the difference with the publisher: the ledger has "
            "the amounts that stand."
        )


def _json(reversal: Reversal, reason: str) -> dict[str, object]:
    return {
        "period": reversal.period,
        "version": reversal.version,
        "reversed_run": reversal.void.run_id,
        "standing_run": reversal.standing.run_id,
        "reversed_bundle": reversal.void.bundle_run,
        "reason": reason.strip(),
        "new": True,
        "differences": [each._asdict() for each in reversal.differences],
    }
