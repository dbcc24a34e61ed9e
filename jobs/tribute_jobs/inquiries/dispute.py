"""Disputes: what publishers contest, as events that are only ever appended."""

import difflib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from tribute.catalog import run_id
from tribute.config import Project
from tribute.errors import MoneyError
from tribute.royalty.exact.calendar import period_days
from tribute_jobs.inquiries.lookup import Issued, find_issued
from tribute_jobs.printing import printable, wrapped
from tribute_storage import SCHEMAS, Lake, open_tables

TYPES = ("amount", "share", "rights", "attribution", "other")


@dataclass(frozen=True)
class Dispute:
    """The state of a dispute after its events; names as in the table `disputes`."""

    dispute_id: str
    state: str
    opened: datetime
    resolved: datetime | None
    period: str
    publisher_id: str
    statement_id: str
    line_id: str
    discrepancy_type: str
    discrepant_cell_name: str
    discrepancy_description: str
    action_taken: str

    @property
    def days(self) -> int:
        """How long it has been open, or was."""
        return ((self.resolved or datetime.now(UTC)) - self.opened).days


def open_dispute(project: Project, about: str, kind: str, text: str, field: str = "") -> tuple[Dispute, bool]:
    """Open a dispute unless it is open already; the dispute, and whether this call opened it.

    Raises:
        MoneyError: no such line, statement, type or field; no text; or the dispute was resolved already.
    """
    _choose("--type", kind, TYPES)
    if not text.strip():
        raise MoneyError("The text of the dispute is empty. Say what is wrong: --text")
    issued = find_issued(project, about)
    if field:
        _check_field(issued, field)
    line_id = issued.line.line_id if issued.line else ""
    statement = issued.statement
    claim = {
        "statement_id": statement.statement_id,
        "line_id": line_id,
        "discrepancy_type": kind,
        "discrepant_cell_name": field,
        "discrepancy_description": text.strip(),
    }
    event = claim | {"dispute_id": run_id("dispute", claim), "action_taken": ""}
    event |= {"period": statement.period, "publisher_id": statement.publisher_id}
    new = _append(project, "opened", event)
    dispute = _named(project, str(event["dispute_id"]))
    if dispute.resolved is not None:
        raise MoneyError(
            f"{dispute.dispute_id} has the same text and was resolved: {dispute.action_taken}. Say in --text what "
            "is still wrong"
        )
    return dispute, new


def resolve_dispute(project: Project, dispute_id: str, action: str) -> tuple[Dispute, bool]:
    """Resolve a dispute; the dispute, and whether this call resolved it.

    Raises:
        MoneyError: no such dispute, no action is given, or it was resolved otherwise.
    """
    if not action.strip():
        raise MoneyError("The action is empty. Say what was done: --action")
    before = _named(project, dispute_id)
    event = asdict(before) | {"action_taken": action.strip()}
    new = before.resolved is None and _append(project, "resolved", event)
    dispute = _named(project, dispute_id)
    if dispute.action_taken != action.strip():
        raise MoneyError(
            f"{dispute_id} was resolved on {dispute.resolved:%Y-%m-%d} already: {dispute.action_taken}. Events "
            "are never changed; open a new dispute"
        )
    return dispute, new


def disputes(project: Project, period: str | None = None) -> list[Dispute]:
    """All disputes, or those of a period: open ones first, each by age, the oldest first."""
    with open_tables(project.lake_root, "disputes") as connection:
        events = connection.sql("from disputes order by time, event").to_arrow_table().to_pylist()
    resolved = {each["dispute_id"]: each for each in events if each["event"] == "resolved"}
    found = [
        _dispute(each, resolved.get(each["dispute_id"]))
        for each in events
        if each["event"] == "opened" and period in (None, each["period"])
    ]
    return sorted(found, key=lambda each: (each.state != "open", each.opened, each.dispute_id))


def _dispute(opened: dict[str, Any], resolved: dict[str, Any] | None) -> Dispute:
    names = Dispute.__dataclass_fields__.keys() & opened.keys() - {"action_taken"}
    return Dispute(
        **{name: opened[name] for name in names},
        state="open" if resolved is None else "resolved",
        opened=opened["time"],
        resolved=resolved["time"] if resolved else None,
        action_taken=resolved["action_taken"] if resolved else "",
    )


def _named(project: Project, dispute_id: str) -> Dispute:
    known = {each.dispute_id: each for each in disputes(project)}
    if dispute_id not in known:
        near = difflib.get_close_matches(dispute_id, known, n=1)
        hint = f"Did you mean {near[0]}?" if near else "`tribute dispute list PROJECT.yaml` names them"
        raise MoneyError(f"No dispute is called {dispute_id!r}. {hint}")
    return known[dispute_id]


def _append(project: Project, event: str, of: dict[str, Any]) -> bool:
    """Append an event unless the dispute has one of this kind: its run is named after both."""
    run = f"{of['dispute_id']}-{event}"
    row = of | {"run_id": run, "event": event, "time": datetime.now(UTC)}
    chosen = {name: row[name] for name in SCHEMAS["disputes"].names}
    return Lake(project.lake_root).append("disputes", run, pa.Table.from_pylist([chosen], SCHEMAS["disputes"]))


def _check_field(issued: Issued, field: str) -> None:
    """Check that a field belongs to the line or the statement, such as `balance.amount_paid_minor`."""
    at: Any = (issued.line or issued.statement).plain()
    for name in field.split("."):
        if not isinstance(at, dict) or name not in at:
            _choose("--field", name, tuple(at) if isinstance(at, dict) else ())
        at = at[name]


def _choose(option: str, given: str, choices: Iterable[str]) -> None:
    known = tuple(choices)
    if given not in known:
        near = difflib.get_close_matches(given, known, n=1)
        hint = f"Did you mean {near[0]}?" if near else f"Choose one of: {', '.join(known) or 'none here'}"
        raise MoneyError(f"{option} {given!r} is unknown. {hint}")


def print_opened(project: Project, about: str, kind: str, text: str, field: str, as_json: bool) -> None:
    """Open a dispute and print its id."""
    dispute, new = open_dispute(project, about, kind, text, field)
    _print_dispute(dispute, new, "is open" if new else "is open already: the same was said before", as_json)


def print_resolved(project: Project, dispute_id: str, action: str, as_json: bool) -> None:
    """Resolve a dispute and say so."""
    dispute, new = resolve_dispute(project, dispute_id, action)
    _print_dispute(dispute, new, "is resolved" if new else "was resolved like this already", as_json)


def print_disputes(project: Project, period: str | None, as_json: bool) -> None:
    """Every dispute with its state and age.

    Raises:
        ConfigError: the period is no month.
    """
    if period is not None:
        period_days(period)
    found = disputes(project, period)
    if as_json:
        print(json.dumps([_json(each) for each in found], indent=2, ensure_ascii=False))
        return
    for each in found:
        print("\n".join(_dispute_lines(each)))
    count = sum(each.state == "open" for each in found)
    print(f"{count} open, {len(found) - count} resolved")


def _dispute_lines(dispute: Dispute) -> Iterator[str]:
    days = f"{dispute.days} day{'' if dispute.days == 1 else 's'}"
    state = f"open for {days}" if dispute.state == "open" else f"resolved after {days}"
    field = f", field {dispute.discrepant_cell_name}" if dispute.discrepant_cell_name else ""
    yield printable(f"{dispute.dispute_id}  {state}  {dispute.discrepancy_type}{field}")
    yield printable(f"  {dispute.publisher_id}, {dispute.period}: {dispute.line_id or dispute.statement_id}")
    yield from wrapped(dispute.discrepancy_description)
    if dispute.action_taken:
        yield from wrapped(f"Done: {dispute.action_taken}")
    yield ""


def _print_dispute(dispute: Dispute, new: bool, what: str, as_json: bool) -> None:
    if as_json:
        print(json.dumps(_json(dispute) | {"new": new}, ensure_ascii=False))
        return
    print(printable(f"{dispute.dispute_id} {what} ({dispute.line_id or dispute.statement_id})"))


def _json(dispute: Dispute) -> dict[str, Any]:
    content = asdict(dispute) | {"days": dispute.days, "opened": dispute.opened.isoformat()}
    return content | {"resolved": dispute.resolved.isoformat() if dispute.resolved else None}
