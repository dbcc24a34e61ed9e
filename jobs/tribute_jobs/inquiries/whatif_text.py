"""The text of `tribute whatif`: what each policy pays each publisher, with sums and concentration."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from tribute.config import Project
from tribute.royalty.exact import Money
from tribute_jobs.inquiries.whatif import Division, WhatIf, divide
from tribute_jobs.printing import Heading, print_table, printable, terminal

SHOWN = 20


def print_policies(project: Project, period: str, files: Sequence[Path], as_json: bool) -> None:
    """Publishers and what each policy pays them; then sums, concentration, and who gains and loses most."""
    found = divide(project, period, files)
    if as_json:
        print(json.dumps(_json(found), indent=2, ensure_ascii=False))
        return
    console = terminal()
    for currency in found.divisions[0].minor:
        _print_amounts(console, found, currency)
        _print_summary(console, found, currency)
    state = "was closed, and stays as it is" if found.final else "is not closed"
    headline = f"  Period {period} {state}; nothing was committed. * the policy of project.yaml. {found.value_run}"
    for line in (headline, *(f"  {printable(note)}" for note in found.notes)):
        console.print(line, soft_wrap=True)


def _print_amounts(console: Console, found: WhatIf, currency: str) -> None:
    own = found.divisions[0].minor[currency]
    ranked = sorted(own, key=lambda name: (-own[name], name))
    headings = [re.sub("[-_ ]", "\n", _heading(each)) for each in found.divisions]

    def row(label: str, names: Sequence[str]) -> list[str]:
        minors = [sum(each.minor[currency][name] for name in names) for each in found.divisions]
        return [label, *(_decimal(minor, currency) for minor in minors)]

    rows = [row(name, [name]) for name in ranked[:SHOWN]]
    if len(ranked) > SHOWN:
        rows.append(row(f"{len(ranked) - SHOWN} others", ranked[SHOWN:]))
    columns = (Heading("publisher", right=False), *map(Heading, headings))
    print_table(console, columns, rows, f"{found.period}, {currency}", [row("sum", ranked)])


def _print_summary(console: Console, found: WhatIf, currency: str) -> None:
    rows = []
    for each in found.divisions:
        ranked = sorted((minor, name) for name, minor in each.differences[currency].items() if minor)
        largest = [_signed(name, minor, currency) for minor, name in ranked[::-1][:1] + ranked[:1]]
        moved = f"{float(each.moved):.1%}"
        rows.append([_heading(each), f"{float(each.concentration):.3f}", moved, *largest, "", ""][:5])
    sides = (Heading("gains most", right=False), Heading("loses most", right=False))
    print_table(console, (Heading("policy", right=False), Heading("HHI"), Heading("moved"), *sides), rows)


def _heading(division: Division) -> str:
    return printable(division.policy.name) + ("*" if division.own else "")


def _decimal(minor: int, currency: str) -> str:
    return f"{Money(minor, currency).decimal():,f}"


def _signed(name: str, minor: int, currency: str) -> str:
    return f"{printable(name)} {'+' if minor > 0 else ''}{_decimal(minor, currency)}"


def _json(found: WhatIf) -> dict[str, Any]:
    divisions = [
        {
            "policy": each.policy.name,
            "version": each.policy.version,
            "sha256": each.policy.sha256,
            "text": each.policy.text,
            "own": each.own,
            "shares": {name: str(share) for name, share in each.shares.items()},
            "amounts_minor": each.minor,
            "differences_minor": each.differences,
            "sums_minor": {currency: sum(amounts.values()) for currency, amounts in each.minor.items()},
            "hhi": f"{float(each.concentration):.6f}",
            "moved": f"{float(each.moved):.6f}",
        }
        for each in found.divisions
    ]
    head = {"period": found.period, "value_run": found.value_run, "final": found.final, "notes": found.notes}
    return head | {"policies": divisions}
