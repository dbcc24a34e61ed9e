"""What the last run in a working folder was made from, so that the next can say what changed."""

import json
from collections.abc import Mapping
from pathlib import Path

from tribute.catalog import Identity
from tribute.ids import short
from tribute_storage import LakeDamaged
from tribute_storage.atomic import write_atomically

SHOWN = 3
"""Most changes that are named."""
VALUES = ("torch", "reader", "period", "customer_cap")
"""Parts that are shown with their values, as settings are."""


class LastRun:
    """Identities of the stages that ran last, kept in the working folder. No result depends on them."""

    def __init__(self, workdir: Path) -> None:
        self._path = workdir / "last_run.json"
        try:
            found = json.loads(self._path.read_bytes())
            self._stages = {name: Identity(**each) for name, each in found.items()}
        except (OSError, ValueError, TypeError, AttributeError):  # none yet, or not as it was written
            self._stages = {}

    @property
    def stages(self) -> tuple[str, ...]:
        """The stages that ran."""
        return tuple(self._stages)

    def why(self, stage: str, identity: Identity) -> str | None:
        """Why a stage is not the one that ran last; None if it is, or if none ran."""
        last = self._stages.get(stage)
        return None if last is None or last.run_id == identity.run_id else changes(last.parts, identity.parts)

    def require_none(self, lake: str) -> None:
        """Check that no stage ran in this working folder, before an empty lake is taken for a new one.

        Raises:
            LakeDamaged: one did, so the lake was emptied, or it is not mounted.
        """
        if self._stages:
            raise LakeDamaged(
                f"The lake {lake} is empty, though {self._path} says that stages ran. Mount its folder, or "
                f"restore it from a backup. To begin with an empty lake, delete {self._path.name}."
            )

    def remember(self, stage: str, identity: Identity) -> None:
        """Keep the identity of a stage that has finished."""
        if self._stages.get(stage) != identity:
            self._stages[stage] = identity
            content = {
                name: {"run_id": each.run_id, "parts": dict(each.parts)} for name, each in self._stages.items()
            }
            write_atomically(self._path, json.dumps(content).encode())


def changes(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """What differs between the parts of two identities, in one line."""
    texts = [_text(name, before.get(name), now.get(name)) for name in sorted({*before, *now}, key=_rank)]
    changed = [text for text in texts if text]
    shown = ", ".join(changed[:SHOWN])
    return f"{shown} and {len(changed) - SHOWN:,} more" if len(changed) > SHOWN else shown


def _rank(name: str) -> tuple[bool, str]:
    """Files, code and settings come before whole runs: they say more."""
    return " " not in name and "." not in name, name


def _text(name: str, before: str | None, now: str | None) -> str:
    if before == now:
        return ""
    kind, _, named = name.partition(" ")
    if kind not in ("file", "code"):
        values = f"{short(before or 'nothing', 40)} -> {short(now or 'nothing', 40)}"
        return f"{name} {values}" if "." in name or name in VALUES else f"another {name}"
    change = "is new" if before in (None, "missing") else "is gone" if now in (None, "missing") else "changed"
    return f"{short(named, 40)} {change}"
