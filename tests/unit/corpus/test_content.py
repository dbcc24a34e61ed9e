"""What a corpus is read from counts by content: names and places of files do not."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from tribute.config import CorpusSettings
from tribute.corpus import corpus_content
from tribute.files.digests import RememberedDigests, file_sha256

Corpora = dict[str, tuple[dict[str, object], tuple[str, ...]]]
KINDS: Corpora = {
    "jsonl": ({"kind": "text"}, ("path=c.jsonl",)),
    "parquet": ({"kind": "text"}, ("path=c.parquet",)),
    "arrays": ({"kind": "arrays"}, ("path=c.parquet",)),
    "idx": ({"kind": "idx"}, ("images=i.idx", "labels=l.idx", "assignment=a.txt")),
    "claims": ({"kind": "text", "path": "none"}, ("duplicates.claims=claims.csv",)),
}


def settings(folder: Path, kind: str, rename: Callable[[str], str] = str) -> CorpusSettings:
    """Settings of a corpus whose files hold their own names."""
    sections, files = KINDS[kind]
    found = dict(sections)
    folder.mkdir(parents=True, exist_ok=True)
    for each in files:
        key, _, name = each.partition("=")
        path = folder / rename(name)
        if not path.exists():
            path.write_text(name)
        section, _, inner = key.partition(".")
        found[section] = {inner: path} if inner else path
    adapter: TypeAdapter[CorpusSettings] = TypeAdapter(CorpusSettings)
    return adapter.validate_python(found)


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_counts_by_its_bytes_whatever_it_is_called_and_wherever_it_lies(tmp_path: Path, kind: str) -> None:
    before = corpus_content(settings(tmp_path / "v1", kind))
    assert len([name for name in before if name.startswith("file ")]) >= len(KINDS[kind][1])
    assert corpus_content(settings(tmp_path / "elsewhere" / "v2", kind, lambda name: f"other-{name}")) == before
    for each in KINDS[kind][1]:
        name = each.partition("=")[2]
        folder = tmp_path / f"changed-{name}"
        changed = settings(folder, kind)
        (folder / name).write_text("other bytes")
        now = corpus_content(changed)
        assert len([key for key in now if now[key] != before[key]]) == 1


def test_files_of_a_folder_count_by_their_place_below_it(tmp_path: Path) -> None:
    adapter: TypeAdapter[CorpusSettings] = TypeAdapter(CorpusSettings)

    def content(root: Path) -> dict[str, str]:
        return corpus_content(adapter.validate_python({"kind": "text", "path": root}))

    root = tmp_path / "first"
    (root / "daily" / "deep").mkdir(parents=True)
    (root / "daily" / "deep" / "a.txt").write_text("one")
    (root / "daily" / "b.txt").write_text("two")
    before = content(root)
    assert list(before) == ["file daily/b.txt", "file daily/deep/a.txt"]
    shutil.copytree(root, tmp_path / "second")
    assert content(tmp_path / "second") == before
    (root / "daily" / "new.txt").write_text("late")
    assert content(root).keys() - before.keys() == {"file daily/new.txt"}
    (root / "daily" / "b.txt").rename(root / "daily" / "c.txt")
    assert before.keys() - content(root).keys() == {"file daily/b.txt"}


def test_what_is_packed_is_told_from_what_is_not(tmp_path: Path) -> None:
    plain, packed = (settings(tmp_path / name, "idx", lambda n, s=name: f"{n}{s}") for name in ("", ".gz"))
    assert corpus_content(plain).keys() != corpus_content(packed).keys()


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path) -> None:
    adapter: TypeAdapter[CorpusSettings] = TypeAdapter(CorpusSettings)
    gone = adapter.validate_python({"kind": "text", "path": tmp_path / "none.jsonl"})
    assert corpus_content(gone) == {"file corpus.path (.jsonl)": "missing"}


def test_a_remembered_digest_is_used_until_the_file_is_written_to(tmp_path: Path) -> None:
    path, memory = tmp_path / "big.jsonl", tmp_path / "digests.json"
    path.write_bytes(b"a" * 100)

    def digests() -> RememberedDigests:
        return RememberedDigests(memory, smallest=10, settled=-1)

    first = digests()
    assert first.sha256(path) == file_sha256(path)
    first.remember()
    stored = memory.read_text()
    memory.write_text(stored.replace(file_sha256(path), "0" * 64))
    assert digests().sha256(path) == "0" * 64, "read from the memory"
    times = path.stat()
    path.write_bytes(b"b" * 100)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert digests().sha256(path) == file_sha256(path), "the same size and time, other bytes"
    for broken in ("", "[]", "{", '{"x": 1}', stored.replace("[", "{").replace("]", "}")):
        memory.write_text(broken)
        assert digests().sha256(path) == file_sha256(path)


def test_a_file_that_has_just_changed_is_not_remembered(tmp_path: Path) -> None:
    path, memory = tmp_path / "big.jsonl", tmp_path / "digests.json"
    path.write_bytes(b"a" * 100)
    digests = RememberedDigests(memory, smallest=10)
    digests.sha256(path)
    digests.remember()
    assert not memory.exists()
