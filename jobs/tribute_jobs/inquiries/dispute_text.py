"""What `tribute dispute` prints."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from tribute.config import Project
from tribute.royalty.exact.calendar import period_days
from tribute_jobs.inquiries.dispute import Dispute, disputes, open_dispute, resolve_dispute
from tribute_jobs.printing import printable, wrapped


def print_opened(project: Project, about: str, kind: str, text: str, field: str, as_json: bool) -> None:
    """Open a dispute and print its id."""
    dispute, new = open_dispute(project, about, kind, text, field)
    _say(dispute, new, "is open" if new else "is open already: the same was said before", as_json)


def print_resolved(project: Project, dispute_id: str, action: str, as_json: bool) -> None:
    """Resolve a dispute and say so."""
    dispute, new = resolve_dispute(project, dispute_id, action)
    _say(dispute, new, "is resolved" if new else "was resolved like this already", as_json)


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
        print("\n".join(_lines(each)))
    count = sum(each.state == "open" for each in found)
    print(f"{count} open, {len(found) - count} resolved")


def _lines(dispute: Dispute) -> Iterator[str]:
    days = f"{dispute.days} day{'' if dispute.days == 1 else 's'}"
    state = f"open for {days}" if dispute.state == "open" else f"resolved after {days}"
    field = f", field {dispute.discrepant_cell_name}" if dispute.discrepant_cell_name else ""
    yield printable(f"{dispute.dispute_id}  {state}  {dispute.discrepancy_type}{field}")
    yield printable(f"  {dispute.publisher_id}, {dispute.period}: {dispute.line_id or dispute.statement_id}")
    yield from wrapped(dispute.discrepancy_description)
    if dispute.action_taken:
        yield from wrapped(f"Done: {dispute.action_taken}")
    yield ""


def _say(dispute: Dispute, new: bool, what: str, as_json: bool) -> None:
    if as_json:
        print(json.dumps(_json(dispute) | {"new": new}, ensure_ascii=False))
        return
    print(printable(f"{dispute.dispute_id} {what} ({dispute.line_id or dispute.statement_id})"))


def _json(dispute: Dispute) -> dict[str, Any]:
    content = asdict(dispute) | {"days": dispute.days, "opened": dispute.opened.isoformat()}
    return content | {"resolved": dispute.resolved.isoformat() if dispute.resolved else None}
