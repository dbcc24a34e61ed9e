"""The place of a lake: a folder on this machine, or a prefix in an object store."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.fs as arrow

from tribute_storage.atomic import write_atomically
from tribute_storage.errors import LakeError

if TYPE_CHECKING:  # a lake in a folder needs neither at run time, and both are slow to import
    import duckdb
    from fsspec.implementations.arrow import ArrowFSWrapper


class FileInfo(NamedTuple):
    """A file under a location: its name relative to the place listed, its size in bytes, its last change."""

    name: str
    size: int
    modified: datetime


@dataclass(frozen=True)
class Location:
    """A folder's absolute path, or a URI such as `s3://bucket/lake`; picklable, holds nothing open.

    Object stores take their credentials and endpoint from the environment (`AWS_ACCESS_KEY_ID`,
    `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`, `AWS_ENDPOINT_URL`; `AWS_ALLOW_HTTP=true` for one without TLS).
    """

    uri: str

    @classmethod
    def of(cls, root: Path | str) -> "Location":
        """The location that a user named.

        Raises:
            LakeError: its name holds a percent escape, which Delta would take for another name.
        """
        named = str(root).removeprefix("file://")
        uri = named.rstrip("/") if "://" in named else str(Path(named).absolute())
        if unquote(uri) != uri:
            raise LakeError(f"Folder {uri} holds a percent escape; choose one without it for the lake.")
        return cls(uri)

    @property
    def remote(self) -> bool:
        """Whether it is an object store."""
        return "://" in self.uri

    def path(self, name: str) -> str:
        """The path or URI of a file under it, as Delta and DuckDB take it."""
        return f"{self.uri}/{name}"

    def write(self, name: str, content: bytes, *, lasting: bool = True) -> None:
        """Write a file atomically; raises OSError. `lasting`: see `write_atomically`."""
        if not self.remote:
            write_atomically(Path(self.path(name)), content, lasting=lasting)
            return
        with self._store.open_output_stream(self._key(name)) as stream:  # appears when the stream is closed
            stream.write(content)

    def read(self, name: str) -> bytes:
        """A file's content; raises OSError."""
        with self._store.open_input_stream(self._key(name)) as stream:
            return bytes(stream.read())

    def open(self, name: str) -> pa.NativeFile:
        """A file to read parts of; raises OSError."""
        return self._store.open_input_file(self._key(name))

    def info(self, name: str) -> FileInfo | None:
        """Size and time of a file; None if it does not exist."""
        info = self._store.get_file_info(self._key(name))
        return _file_info(name, info) if info.type == arrow.FileType.File else None

    def files(self, folder: str) -> list[FileInfo]:
        """Every file under a folder, by name relative to it; none if the folder is not there."""
        base = self._key(folder)
        chosen = arrow.FileSelector(base, recursive=True, allow_not_found=True)
        try:
            infos = [info for info in self._store.get_file_info(chosen) if info.type == arrow.FileType.File]
        except NotADirectoryError:  # something else is in its place
            return []
        return sorted(_file_info(info.path.removeprefix(base).lstrip("/"), info) for info in infos)

    def sizes(self, folder: str, names: Iterable[str]) -> dict[str, int | None]:
        """Bytes of files in a folder by name, None where one is missing; raises OSError."""
        if self.remote:  # one request for all of them
            found = {each.name: each.size for each in self.files(folder)}
            return {name: found.get(name) for name in names}
        return {name: _size(f"{self.uri}/{folder}/{name}") for name in names}

    def delete(self, name: str) -> None:
        """Delete a file; raises OSError."""
        self._store.delete_file(self._key(name))

    def open_to(self, connection: "duckdb.DuckDBPyConnection") -> None:
        """Let a DuckDB connection read files here. It needs no extension."""
        if self.remote:
            connection.register_filesystem(_reader(self.uri.partition("://")[0], self._store))

    @cached_property
    def _store(self) -> arrow.FileSystem:
        return arrow.FileSystem.from_uri(self.uri)[0] if self.remote else arrow.LocalFileSystem()

    def _key(self, name: str) -> str:
        return self.path(name).partition("://")[2] if self.remote else self.path(name)

    def __reduce__(self) -> tuple[type["Location"], tuple[str]]:
        """Pickle only the name, without open connections."""
        return Location, (self.uri,)


def _size(path: str) -> int | None:
    try:
        return os.stat(path).st_size  # noqa: PTH116  (of every file of a table; a Path takes three times as long)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _file_info(name: str, info: arrow.FileInfo) -> FileInfo:
    return FileInfo(name, info.size, info.mtime or datetime.now(UTC))


def _reader(scheme: str, store: arrow.FileSystem) -> "ArrowFSWrapper":
    from fsspec.implementations.arrow import ArrowFile, ArrowFSWrapper  # noqa: PLC0415  (object stores only)

    class Reader(ArrowFSWrapper):
        protocol = scheme

        @classmethod
        def _strip_protocol(cls, path: str) -> str:
            return path.removeprefix(f"{scheme}://")

        def _open(self, path: str, mode: str = "rb", **options: Any) -> ArrowFile:
            # DuckDB may write whatever it may read, and no kernel's fence holds an object store.
            if mode != "rb":
                raise PermissionError(f"{path} is opened for reading only")
            return super()._open(path, mode, **options)

    return Reader(store)
