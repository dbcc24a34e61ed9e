"""The text of `tribute whatif`: what each policy pays each publisher, with sums and concentration."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from tribute.config import Project
from tribute.royalty.exact import Money
from tribute_jobs.inquiries.whatif import Division, WhatIf, divide
from tribute_jobs.printing import printable

SHOWN = 20


def print_policies(project: Project, period: str, files: Sequence[Path], as_json: bool) -> None:
    """Publishers and what each policy pays them; then sums, concentration, and who gains and loses most."""
    found = divide(project, period, files)
    if as_json:
        print(json.dumps(_json(found), indent=2, ensure_ascii=False))
        return
    console = Console()
    for currency in found.divisions[0].minor:
        console.print(_amounts(found, currency), markup=False)
        console.print(_summary(found, currency), markup=False)
    state = "was closed, and stays as it is" if found.final else "is not closed"
    headline = f"  Period {period} {state}; nothing was committed. * the policy of project.yaml. {found.value_run}"
    for line in (headline, *(f"  {printable(note)}" for note in found.notes)):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _amounts(found: WhatIf, currency: str) -> Table:
    title = f"{found.period}, {currency}"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("publisher", overflow="fold")
    for each in found.divisions:
        table.add_column(re.sub("[-_ ]", "\n", _heading(each)), justify="right", overflow="fold")
    own = found.divisions[0].minor[currency]
    ranked = sorted(own, key=lambda name: (-own[name], name))

    def add(label: str, names: Sequence[str]) -> None:
        minors = [sum(each.minor[currency][name] for name in names) for each in found.divisions]
        table.add_row(printable(label), *(_decimal(minor, currency) for minor in minors))

    for name in ranked[:SHOWN]:
        add(name, [name])
    if len(ranked) > SHOWN:
        add(f"{len(ranked) - SHOWN} others", ranked[SHOWN:])
    table.add_section()
    add("sum", ranked)
    return table


def _summary(found: WhatIf, currency: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("policy", overflow="fold")
    for heading in ("HHI", "moved"):
        table.add_column(heading, justify="right")
    for heading in ("gains most", "loses most"):
        table.add_column(heading, overflow="fold")
    for each in found.divisions:
        ranked = sorted((minor, name) for name, minor in each.differences[currency].items() if minor)
        largest = [_signed(name, minor, currency) for minor, name in ranked[::-1][:1] + ranked[:1]]
        table.add_row(_heading(each), f"{float(each.concentration):.3f}", f"{float(each.moved):.1%}", *largest)
    return table


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
