"""`tribute keys`, as an operator types it."""

import json
from pathlib import Path

import pytest

from tests.projects import write_project
from tests.unit.jobs.commanding import tribute
from tribute.config import load_project
from tribute_jobs.service.access.access import Access, open_access
from tribute_jobs.service.access.audit import AuditEntry
from tribute_jobs.service.access.store import access_path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A project.yaml."""
    return write_project(tmp_path)


def opened(path: Path) -> Access:
    """The keys of the project."""
    return open_access(load_project(path))


def created(path: Path, *options: str) -> dict:
    """A key that was made now."""
    ran = tribute("keys", "create", path, "--json", *options)
    assert ran.code == 0, ran.text
    return json.loads(ran.text)


def test_a_key_is_printed_once_and_works(path: Path) -> None:
    ran = tribute("keys", "create", path, "--role", "operator", "--name", "Zoë")
    text = ran.text.splitlines()[0]
    key = opened(path).keys.key_of(text)
    assert key is not None
    assert (key.name, key.role) == ("Zoë", "operator")
    assert f"This is the key {key.prefix} of Zoë (operator). Keep it now" in ran.text
    assert "It is the first key" in ran.text
    for command in (("list", path), ("list", path, "--json"), ("revoke", path, key.prefix)):
        assert text not in tribute("keys", *command).text
    assert "It is the first key" not in tribute("keys", "create", path, "--role", "ingest", "--name", "b").text


def test_json_holds_the_key_and_its_record(path: Path) -> None:
    made = created(path, "--role", "ingest", "--name", "feed", "--rate", "30", "--query-rate", "600")
    key = opened(path).keys.key_of(made["key"])
    assert key is not None
    assert made == {"event": "created", **key.plain(), "key": made["key"]}
    assert (key.requests_per_minute, key.queries_per_minute) == (30, 600)


def test_a_publisher_of_the_project_gets_a_key(path: Path) -> None:
    made = created(path, "--role", "publisher", "--publisher", " kitchen ", "--name", "Kitchen")
    assert made["publisher_id"] == "kitchen"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--role", "publisher", "--publisher", "kitchn"],
            "called 'kitchn'. Did you mean kitchen?",
        ),
        (["--role", "publisher", "--publisher", "zzz"], "Known are: arena, kitchen, planet"),
        (["--role", "publisher"], "Name it: --publisher ID"),
        (["--role", "ingest", "--publisher", "kitchen"], "Leave out --publisher"),
        (["--role", "ingest", "--rate", "0"], "A limit of 0 a minute cannot be kept"),
    ],
)
def test_what_makes_no_sense_is_refused(path: Path, options: list[str], message: str) -> None:
    ran = tribute("keys", "create", path, "--name", "x", *options)
    assert ran.code == 2
    assert message in ran.text
    assert json.loads(tribute("keys", "list", path, "--json").text) == []


def test_publishers_that_nobody_named_yet_are_said_to_be_unknown(tmp_path: Path) -> None:
    path = write_project(tmp_path, rights={})
    ran = tribute("keys", "create", path, "--name", "x", "--role", "publisher", "--publisher", "kitchen")
    assert (ran.code, "Run: tribute train" in ran.text) == (2, True)


def test_keys_are_listed_with_their_state(path: Path) -> None:
    made = created(path, "--role", "ingest", "--name", "feed", "--rate", "30")
    tribute("keys", "revoke", path, made["prefix"])
    created(path, "--role", "publisher", "--publisher", "arena", "--name", "Arena")
    feed, arena = tribute("keys", "list", path).text.split("\n\n")[0].strip().splitlines()[-2:]
    assert feed.split()[:4] == ["feed", made["prefix"], "ingest", "30"]
    assert "never" in feed
    assert "revoked 20" in feed
    assert arena.split()[0] == "Arena"
    assert arena.split()[2:4] == ["publisher", "arena"]
    assert arena.split()[-1] == "valid"


def test_looking_makes_no_file(path: Path) -> None:
    assert "tribute keys create" in tribute("keys", "list", path).text
    assert json.loads(tribute("keys", "list", path, "--json").text) == []
    assert "No access was recorded" in tribute("keys", "audit", path).text
    assert not access_path(load_project(path)).parent.exists()


def test_a_key_is_revoked_once(path: Path) -> None:
    made = created(path, "--role", "ingest", "--name", "feed")
    assert "is revoked, and its sessions are over" in tribute("keys", "revoke", path, made["prefix"]).text
    assert opened(path).keys.key_of(made["key"]) is None
    assert "was revoked already" in tribute("keys", "revoke", path, made["prefix"]).text
    again = json.loads(tribute("keys", "revoke", path, made["prefix"], "--json").text)
    assert (again["event"], again["new"]) == ("revoked", False)
    ran = tribute("keys", "revoke", path, "trb_")
    assert (ran.code, "No key has the prefix 'trb_'" in ran.text) == (2, True)


def test_accesses_are_shown_by_period_publisher_key_and_time(path: Path) -> None:
    audit = opened(path).audit
    for period, publisher, key in [("2026-10", "arena", "k1"), ("2026-11", "arena", "k1"), ("2026-11", "", "k2")]:
        audit.append(
            AuditEntry(
                key, "n", "operator", "GET", "/v1/s", f"/v1/s?p={period}", publisher, period, "", 200, "::1"
            )
        )

    def keys(*options: str) -> list[str]:
        lines = tribute("keys", "audit", path, "--json", *options).text.splitlines()
        return [json.loads(line)["key_id"] for line in lines]

    assert keys() == ["k2", "k1", "k1"]
    assert keys("--period", "2026-11") == ["k2", "k1"]
    assert keys("--publisher", "arena") == ["k1", "k1"]
    assert keys("--key", "k2") == ["k2"]
    assert keys("--most", "1") == ["k2"]
    assert keys("--since", "2026-01-01") == ["k2", "k1", "k1"]
    assert keys("--since", "2999-01-01T00:00Z") == []
    shown = tribute("keys", "audit", path, "--period", "2026-10").text
    assert "GET /v1/s?p=2026-10" in shown
    assert "1 shown" in shown


@pytest.mark.parametrize(
    ("options", "message"), [(["--since", "yesterday"], "--since: "), (["--period", "2026-13"], "2026-13")]
)
def test_a_time_that_is_none_is_refused(path: Path, options: list[str], message: str) -> None:
    ran = tribute("keys", "audit", path, *options)
    assert (ran.code, message in ran.text) == (2, True)


@pytest.mark.parametrize("command", ["create", "list", "revoke", "audit"])
def test_help_teaches(command: str) -> None:
    ran = tribute("keys", command, "--help")
    assert ran.code == 0
    assert "PROJECT.yaml" in ran.text
    assert command == "list" or "tribute keys" in ran.text
