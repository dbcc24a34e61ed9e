"""What an examination found, for people and for programs."""

import json
from collections.abc import Sequence
from itertools import groupby

from tribute.errors import itemised
from tribute_jobs.checks.checklist import CheckResult, print_results
from tribute_jobs.doctor.fault import Fault, Section
from tribute_jobs.printing import copyable


def print_sections(sections: Sequence[Section], as_json: bool) -> None:
    """A line per subject with its faults below it, 20 of a kind; or all of them as a JSON list."""
    if not as_json:
        print_results([_result(section) for section in sections], as_json=False)
        return
    print(json.dumps([_plain(section) for section in sections], indent=2))


def _result(section: Section) -> CheckResult:
    grave, notes = ([fault for fault in section.faults if fault.grave is kind] for kind in (True, False))
    detail = "\n".join(kinds(grave)) or ("nothing that stops a run" if notes else section.text)
    return CheckResult(section.name, not grave, detail, (*section.warnings, *kinds(notes)))


def kinds(faults: Sequence[Fault]) -> list[str]:
    """A text for the faults of each kind: what they are, then the remedy that they share."""
    ranked = sorted(faults, key=lambda fault: fault.remedy)
    groups = groupby(ranked, key=lambda fault: fault.remedy)
    return [_text([fault.what for fault in group], remedy) for remedy, group in groups]


def _text(whats: Sequence[str], remedy: str) -> str:
    if len(whats) == 1:
        return f"{whats[0]}. {remedy}" if remedy else whats[0]
    return itemised(f"{len(whats):,} faults of one kind. {remedy}:", whats)


def _plain(section: Section) -> dict[str, object]:
    """A section as JSON, with every fault."""
    detail = "\n".join(fault.what for fault in section.faults if fault.grave) or section.text
    faults = [
        {
            "what": fault.what,
            "remedy": copyable(fault.remedy),
            "grave": fault.grave,
            "repair": fault.repair.doing if fault.repair else None,
        }
        for fault in section.faults
    ]
    warnings = [*section.warnings, *(fault.what for fault in section.faults if not fault.grave)]
    return {
        "name": section.name,
        "fine": section.fine,
        "detail": detail,
        "warnings": warnings,
        "faults": faults,
    }
