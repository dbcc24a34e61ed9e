"""Mistakes that can be planted in the product, to see whether the injector notices them."""

import sys
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tribute_jobs import faults
from tribute_storage import atomic
from tribute_storage.log import TableLog


def nameless_commits() -> None:
    """A commit does not carry the name of its run, so that nobody knows that it was done."""
    append = TableLog.append

    def nameless(log: TableLog, snapshot: Any, run_id: str, files: Sequence[Any], **named: Any) -> None:
        del run_id
        append(log, snapshot, uuid.uuid4().hex, files, **named)

    TableLog.append = nameless  # type: ignore[method-assign]


def direct_writes() -> None:
    """A file is written under its own name at once."""

    def written(path: Path, content: bytes, **named: Any) -> None:
        del named
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.replace(path)

    replace_everywhere(atomic.write_atomically, written)


def untold_refusals() -> None:
    """What the machine refuses is raised as it comes."""
    replace_everywhere(faults.machine_error, lambda _: None)


PLANTED: dict[str, Callable[[], None]] = {
    plant.__name__: plant for plant in (nameless_commits, direct_writes, untold_refusals)
}


def replace_everywhere(function: Callable[..., Any], other: Callable[..., Any]) -> None:
    """Put another function in the place of one, in every module that has it."""
    for name, module in list(sys.modules.items()):
        if name.startswith("tribute") and getattr(module, function.__name__, None) is function:
            setattr(module, function.__name__, other)
