"""A sealed file is what was written, the old content or the new, whenever the writer is killed."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tribute.files.sealed as module
from tribute.errors import DamagedFile
from tribute.files.sealed import intact, remove_sealed, require_sealed, seal_of, sealed_by, write_sealed
from tribute_storage.atomic import write_atomically

PATH = "step-00000001.safetensors"


class Killed(Exception):
    pass


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(contents=st.lists(st.binary(max_size=20), min_size=1, max_size=4), kept=st.integers(0, 8))
def test_a_writer_that_is_killed_leaves_a_whole_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, contents: list[bytes], kept: int
) -> None:
    path, writes = tmp_path / PATH, 0
    remove_sealed(path)

    def dying(place: Path, content: bytes) -> None:
        nonlocal writes
        if (writes := writes + 1) > kept:
            raise Killed
        write_atomically(place, content)

    with monkeypatch.context() as patched:
        patched.setattr(module, "write_atomically", dying)
        for content in contents:
            try:
                write_sealed(path, content)
            except Killed:
                break
    done = min(kept, 2 * len(contents)) // 2
    assert path.exists() is (done > 0)
    if done:
        assert intact(path) and path.read_bytes() == contents[done - 1]


@given(content=st.binary(min_size=1, max_size=50), data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
def test_any_other_content_is_damage(tmp_path: Path, content: bytes, data: st.DataObject) -> None:
    path = tmp_path / PATH
    remove_sealed(path)
    write_sealed(path, content)
    other = data.draw(st.binary(max_size=50).filter(lambda drawn: drawn != content))
    path.write_bytes(other)
    assert not intact(path)
    with pytest.raises(DamagedFile, match=r"is damaged: its SHA-256 is .* Remove it: tribute doctor"):
        require_sealed(path)


def test_what_is_missing_has_nothing_to_be_removed_and_old_files_are_taken_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / PATH
    with pytest.raises(DamagedFile, match=r"is missing\. tribute simulate PROJECT.yaml makes it again"):
        require_sealed(path)
    path.write_bytes(b"of an earlier release")
    require_sealed(path)
    assert intact(path) and not seal_of(path).exists() and sealed_by(seal_of(path)) == path
