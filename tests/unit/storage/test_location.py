import os
import pickle
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tribute_storage import LakeError
from tribute_storage.location import Location


@pytest.fixture
def location(tmp_path: Path) -> Location:
    return Location.of(tmp_path / "lake")


def test_a_folder_is_absolute_and_a_uri_stays_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Location.of("lake").uri == Location.of(tmp_path / "lake").uri == f"{tmp_path}/lake"
    remote = Location.of("s3://bucket/a lake/")
    assert (remote.uri, remote.remote, remote.path("t/f")) == (
        "s3://bucket/a lake",
        True,
        "s3://bucket/a lake/t/f",
    )
    assert not Location.of("lake").remote


def test_a_percent_escape_is_refused() -> None:
    for root in ("/a%20b", "s3://bucket/a%2Fb"):
        with pytest.raises(LakeError, match="percent escape; choose one without it"):
            Location.of(root)


def test_what_is_written_is_read_found_listed_and_deleted(location: Location) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    location.write("t/sub/b", b"two")
    location.write("t/a", b"1")
    location.write("t/a", b"one!")
    assert (location.read("t/a"), location.read("t/sub/b")) == (b"one!", b"two")
    assert [(found.name, found.size) for found in location.files("t")] == [("a", 4), ("sub/b", 3)]
    found = location.info("t/a")
    assert found is not None
    assert before <= found.modified <= datetime.now(UTC) + timedelta(seconds=1)
    location.delete("t/a")
    assert location.info("t/a") is location.info("t/sub") is None
    with pytest.raises(FileNotFoundError):
        location.read("t/a")
    with pytest.raises(OSError, match="t/a"):
        location.delete("t/a")


def test_a_folder_that_is_not_there_has_no_files(location: Location) -> None:
    assert location.files("t") == location.files("") == []
    assert not Path(location.uri).exists()


def test_it_travels_as_its_name_alone(location: Location) -> None:
    location.write("a", b"1")
    assert pickle.loads(pickle.dumps(location)) == location
    assert len(pickle.dumps(location)) < 200


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    location: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    location.write("t/a", b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        location.write("t/a", b"new")
    assert [(found.name, found.size) for found in location.files("t")] == [("a", 3)]
    assert location.read("t/a") == b"old"
