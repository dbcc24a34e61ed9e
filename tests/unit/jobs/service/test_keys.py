"""Keys: shown once, stored as a hash, revoked for good."""

import os
import sqlite3
from contextlib import closing

import pytest

from tribute.config import Project
from tribute.errors import BusyError, ConfigError, DamagedFile, MachineError
from tribute_jobs.service.access.access import Access, open_access
from tribute_jobs.service.access.caller import Role
from tribute_jobs.service.access.keys import FRESH_S, MARKED_S, Keys, prefix_of
from tribute_jobs.service.access.store import AccessFile, access_path


class Clock:
    """Seconds that pass when told."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_key_is_found_by_its_text(access: Access) -> None:
    made, text = access.keys.create("feed", Role.INGEST, requests_per_minute=5)
    assert text.startswith(f"trb_{made.prefix}_")
    assert access.keys.key_of(text) == made
    assert made.caller().requests_per_minute == 5


def test_keys_differ_and_have_256_random_bits(access: Access) -> None:
    texts = {access.keys.create("k", Role.OPERATOR)[1] for _ in range(20)}
    assert len({text[13:] for text in texts}) == len({prefix_of(text) for text in texts}) == 20
    assert all(len(bytes.fromhex(text[13:])) == 32 for text in texts)


def test_neither_file_nor_log_holds_a_key(project: Project, access: Access) -> None:
    _, text = access.keys.create("feed", Role.INGEST)
    folder = access_path(project).parent
    content = b"".join(path.read_bytes() for path in folder.iterdir())
    assert b"feed" in content
    assert text[13:].encode() not in content
    assert bytes.fromhex(text[13:]) not in content


@pytest.mark.parametrize(
    "change", [lambda t: t[:-1], lambda t: t + "0", lambda t: t.upper(), lambda _: "", str.title]
)
def test_another_text_is_no_key(access: Access, change) -> None:
    _, text = access.keys.create("feed", Role.INGEST)
    assert access.keys.key_of(change(text)) is None


def test_the_right_prefix_with_another_secret_is_no_key(access: Access) -> None:
    one, other = (access.keys.create("k", Role.INGEST)[1] for _ in range(2))
    assert access.keys.key_of(one[:13] + other[13:]) is None
    assert access.keys.key_of(f"trb_00000000_{one[13:]}") is None
    assert access.keys.key_of("trb_\ud800") is None


def test_another_process_sees_a_revocation_within_the_stated_time(project: Project, access: Access) -> None:
    key, text = access.keys.create("feed", Role.INGEST)
    clock = Clock()
    service = Keys(AccessFile(access_path(project)), clock)
    assert service.key_of(text) == key
    access.keys.revoke(key.prefix)
    clock.now += FRESH_S - 0.01
    assert service.key_of(text) is not None
    clock.now += 0.01
    assert service.key_of(text) is None
    assert service.active(key.prefix) is None


def test_a_service_reads_the_file_once_in_that_time(project: Project, access: Access) -> None:
    clock = Clock()
    service = Keys(AccessFile(access_path(project)), clock)
    assert service.never_made()
    _, text = access.keys.create("feed", Role.INGEST)
    assert [service.key_of(text) for _ in range(3)] == [None] * 3
    clock.now += FRESH_S
    assert service.key_of(text) is not None


def test_revoking_is_for_good_and_keeps_the_record(access: Access) -> None:
    key, text = access.keys.create("feed", Role.INGEST)
    revoked, done = access.keys.revoke(key.prefix)
    assert done
    assert access.keys.key_of(text) is None
    again, done = access.keys.revoke(key.prefix)
    assert (again.revoked, done) == (revoked.revoked, False)
    assert [each.prefix for each in access.keys.listed()] == [key.prefix]
    assert not access.keys.any_active()
    assert not access.keys.never_made()


@pytest.mark.parametrize("prefix", ["abc", "00000000", "", "\udcff" * 8, "' or '1'='1"])
def test_an_unknown_prefix_is_refused(access: Access, prefix: str) -> None:
    _, text = access.keys.create("feed", Role.INGEST)
    with pytest.raises(ConfigError, match=r"No key has the prefix .*tribute keys list"):
        access.keys.revoke(prefix)
    assert access.keys.key_of(text) is not None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("", Role.INGEST), "The name of a key is '', expected non-empty text.*--name"),
        (("a\nb", Role.INGEST), "holds U\\+000A"),
        (("x" * 101, Role.INGEST), "101 characters. Use at most 100"),
        (("p", Role.PUBLISHER), "Name it: --publisher ID"),
        (("p", Role.OPERATOR, "p1"), "Leave out --publisher, or give --role publisher"),
        (("p", Role.INGEST, None, 0), "A limit of 0 a minute cannot be kept"),
        (("p", Role.INGEST, None, None, -1), "A limit of -1 a minute"),
        (("p", Role.INGEST, None, 10**30), "Give 1 to 1,000,000,000"),
    ],
)
def test_a_key_that_makes_no_sense_is_refused(access: Access, arguments: tuple, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        access.keys.create(*arguments)
    assert access.keys.listed() == []


def test_use_is_marked_at_most_once_a_minute(project: Project, access: Access) -> None:
    key, _ = access.keys.create("feed", Role.INGEST)
    clock = Clock()
    service = Keys(AccessFile(access_path(project)), clock)
    assert [service.needs_mark(key.prefix) for _ in range(3)] == [True, False, False]
    service.mark_used(key.prefix)
    assert access.keys.listed()[0].last_used is not None
    clock.now += MARKED_S
    assert service.needs_mark(key.prefix)


def test_only_the_owner_can_open_the_files(project: Project) -> None:
    folder = access_path(project).parent
    folder.mkdir(parents=True)
    folder.chmod(0o755)
    before = os.umask(0)
    try:
        open_access(project).keys.create("feed", Role.INGEST)
    finally:
        os.umask(before)
    assert folder.stat().st_mode & 0o777 == 0o700
    modes = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
    assert modes == dict.fromkeys(modes, 0o600)
    assert {"access.sqlite", "access.sqlite-wal"} <= modes.keys()


def test_keys_stay_when_the_file_is_opened_again(project: Project, access: Access) -> None:
    key, text = access.keys.create("feed", Role.PUBLISHER, "p1")
    assert open_access(project).keys.key_of(text) == key


def test_a_damaged_file_is_refused_with_a_remedy(project: Project) -> None:
    path = access_path(project)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"no database" * 100)
    with pytest.raises(DamagedFile, match="Put it back from a backup"):
        open_access(project)


@pytest.mark.usefixtures("access")
def test_a_file_of_a_later_release_is_refused(project: Project) -> None:
    with closing(sqlite3.connect(access_path(project))) as connection:
        connection.execute("pragma user_version = 2")
    with pytest.raises(ConfigError, match="format 2, this release reads 1"):
        open_access(project)


def test_a_file_in_the_place_of_the_folder_is_a_fault_of_the_machine(project: Project) -> None:
    project.workdir.mkdir(parents=True)
    (project.workdir / "service").write_text("")
    with pytest.raises(MachineError, match=r"access\.sqlite cannot be made"):
        open_access(project)


def test_a_writer_that_waited_too_long_says_so(
    project: Project, access: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tribute_jobs.service.access.store.PATIENCE_S", 0.01)
    impatient = open_access(project)
    with closing(sqlite3.connect(access_path(project), isolation_level=None)) as other:
        other.execute("begin immediate")
        with pytest.raises(BusyError, match="in use by another process"):
            impatient.keys.create("k", Role.INGEST)
        assert impatient.keys.listed() == []  # reading waits for nobody
    impatient.keys.create("k", Role.INGEST)
    assert len(access.keys.listed()) == 1
