"""What `tribute keys` makes, changes and prints."""

import json

from tribute.config import Project
from tribute.ids import nfc
from tribute_jobs.printing import Heading, copyable, print_table, printable, terminal
from tribute_jobs.service.access.access import open_access
from tribute_jobs.service.access.audit import AuditEntry
from tribute_jobs.service.access.caller import Role
from tribute_jobs.service.access.keys import FRESH_S, ApiKey
from tribute_jobs.service.access.publishers import require_publisher
from tribute_jobs.service.access.store import access_path

NO_KEY = (
    "No key was ever made. The service answers callers on this machine only, and they may do everything. Make a "
    "key: tribute keys create PROJECT.yaml --role operator --name NAME"
)


def print_created(
    project: Project,
    role: Role,
    name: str,
    publisher: str | None,
    rates: tuple[int | None, int | None],
    as_json: bool,
) -> None:
    """Make a key and print it, this once.

    Raises:
        ConfigError: see `Keys.create` and `require_publisher`.
    """
    if publisher is not None and role == Role.PUBLISHER:
        publisher = require_publisher(project, publisher)
    keys = open_access(project).keys
    first = keys.never_made()
    key, text = keys.create(name, role, publisher, *rates)
    if as_json:
        print(json.dumps({"event": "created", **key.plain(), "key": text}, ensure_ascii=False))
        return
    print(f"{text}\n")
    print(printable(f"This is the key {key.prefix} of {_owner(key)}. Keep it now: nothing can show it again."))
    print(f'Send it with every request: curl -H "Authorization: Bearer {text[:12]}..."')
    if first:
        print(f"It is the first key: in {FRESH_S:.0f} s, a running service asks everybody for one, you included.")


def print_keys(project: Project, as_json: bool) -> None:
    """All keys with role, limits and last use."""
    found = open_access(project).keys.listed() if access_path(project).is_file() else []
    if as_json:
        print(json.dumps([key.plain() for key in found], indent=2, ensure_ascii=False))
    elif not found:
        print(copyable(NO_KEY))
    else:
        headings = [
            Heading("name"),
            Heading("key", right=False),
            Heading("role", right=False),
            Heading("publisher", right=False),
            Heading("requests\na minute", spare=3),
            Heading("queries\na minute", spare=4),
            Heading("made", spare=2),
            Heading("last used", spare=1),
            Heading("state", right=False),
        ]
        print_table(terminal(), headings, [_row(key) for key in found])


def print_revoked(project: Project, prefix: str, as_json: bool) -> None:
    """Revoke a key.

    Raises:
        ConfigError: no key has this prefix.
    """
    key, done = open_access(project).keys.revoke(prefix)
    if as_json:
        print(json.dumps({"event": "revoked", **key.plain(), "new": done}, ensure_ascii=False))
    elif done:
        within = f"A running service refuses it within {FRESH_S:.0f} s"
        print(printable(f"{key.prefix} of {_owner(key)} is revoked, and its sessions are over. {within}"))
    else:
        print(printable(f"{key.prefix} of {_owner(key)} was revoked already, at {key.revoked}"))


def print_accesses(
    project: Project,
    period: str | None,
    publisher: str | None,
    prefix: str | None,
    since: str | None,
    most: int | None,
    as_json: bool,
) -> None:
    """Accesses to money or statements, the newest first; see `AuditLog.listed`."""
    found = list[AuditEntry]()
    if access_path(project).is_file():
        audit = open_access(project).audit
        found = audit.listed(period, publisher and nfc(publisher), prefix, since, most)
    if as_json:
        for entry in found:
            print(json.dumps(entry.plain(), ensure_ascii=False))
        return
    headings = [
        Heading("asked"),
        Heading("status"),
        Heading("time"),
        Heading("key", right=False),
        Heading("name", right=False, spare=1),
        Heading("role", right=False, spare=2),
        Heading("from", right=False, spare=3),
    ]
    if found:
        print_table(terminal(), headings, [_access(entry) for entry in found])
    print(f"{len(found)} shown, the newest first" if found else "No access was recorded that fits")


def _row(key: ApiKey) -> list[str]:
    rates = [str(rate or "") for rate in (key.requests_per_minute, key.queries_per_minute)]
    used = _second(key.last_used) if key.last_used else "never"
    state = f"revoked {_second(key.revoked)}" if key.revoked else "valid"
    return [key.name, key.prefix, key.role, key.publisher_id or "", *rates, _second(key.created), used, state]


def _access(entry: AuditEntry) -> list[str]:
    asked, when = f"{entry.method} {entry.asked}", _second(entry.time)
    return [asked, str(entry.status), when, entry.key_id, entry.name, entry.role, entry.client]


def _owner(key: ApiKey) -> str:
    return f"{key.name} ({key.role}{f' {key.publisher_id}' if key.publisher_id else ''})"


def _second(moment: str) -> str:
    """A stored moment for people, in UTC."""
    return moment[:19].replace("T", " ")
