"""The Parquet files of a table, looked at one by one: which of them is missing, cut, foreign or changed."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType

import pyarrow as pa
import pyarrow.parquet as pq

from tribute_storage.errors import Damage, LakeDamaged, LakeError
from tribute_storage.integrity.remedies import remedy
from tribute_storage.location import Location
from tribute_storage.refusals import fault, refusal, said
from tribute_storage.schemas import columns_at
from tribute_storage.staging import NAME, StagedFile

Hashed = Callable[[str], str | None]
"""SHA-256, hexadecimal, of the file at a path or URI, or None to take its content as it is; raises OSError."""


def misfits(location: Location, table: str, files: Mapping[str, StagedFile]) -> list[Damage]:
    """Files that are missing or have another size than the log says; raises `LakeUnavailable`."""
    try:
        sizes = location.sizes(table, files)
    except OSError as error:
        raise fault(f"Table {table} of {location.uri} cannot be read", error, remedy(table)) from error
    found = []
    for name, size in sizes.items():
        if size != files[name].size:
            what = "is missing" if size is None else f"has {size:,} bytes, expected {files[name].size:,}"
            found.append(Damage(table, f"{table}/{name}", what, remedy(table)))
    return sorted(found)


def damaged_files(
    location: Location,
    table: str,
    files: Mapping[str, StagedFile],
    hashed: Hashed | None = None,
    runs: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Damage]:
    """Every file that is not as it was written: missing, cut, with other bytes or other rows.

    A file's name holds half of its content's SHA-256. Files of another program are read instead.

    Args:
        hashed: how a file's content is hashed; None: it is read here, and its rows are looked at.
        runs: the run that the log names for a file, where it names one.

    Raises:
        LakeUnavailable: the disk or the store refuses.
    """
    misfitting = {each.file.partition("/")[2]: each for each in misfits(location, table, files)}
    for name in sorted(files):
        what = (
            misfitting[name].what
            if name in misfitting
            else _problem(location, table, files[name], hashed, runs.get(name))
        )
        if what is not None:
            yield Damage(table, f"{table}/{name}", what, remedy(table))


def content_of(location: Location, table: str, file: StagedFile) -> bytes:
    """A file's bytes, as they were written; raises `LakeDamaged` and `LakeUnavailable`."""
    found = list(damaged_files(location, table, {file.path: file}))
    if found:
        raise LakeDamaged.of(location.uri, found)
    return location.read(f"{table}/{file.path}")


def unreadable(location: Location, table: str, files: Sequence[StagedFile], error: BaseException) -> LakeError:
    """The error to raise when these files of a table could not be read."""
    if refusal(error):
        return fault(f"Table {table} of {location.uri} cannot be read", error, "")
    found = list(damaged_files(location, table, {each.path: each for each in files}))
    if found:
        return LakeDamaged.of(location.uri, found)
    damage = Damage(table, f"{table}/{files[0].path}", f"cannot be read: {said(error)}", remedy(table))
    return LakeDamaged.of(location.uri, [damage])


def _problem(
    location: Location, table: str, file: StagedFile, hashed: Hashed | None, run: str | None
) -> str | None:
    named = NAME.fullmatch(file.path)
    place = f"{table}/{file.path}"
    try:
        if named is not None and hashed is not None:
            sha256, content = hashed(location.path(place)) or named[2], b""
        else:
            content = location.read(place)
            sha256 = hashlib.sha256(content).hexdigest()
        if named is not None and sha256[:16] != named[2]:
            return (
                f"has other content than was written: its SHA-256 begins with {sha256[:16]}, expected {named[2]}"
            )
        if content:
            return _other_rows(table, file, content, int(named[1] or 1) if named else None, run)
    except pa.ArrowException as error:
        return f"cannot be read as Parquet: {said(error)}"
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        if refusal(error):
            raise fault(f"{location.path(place)} cannot be read", error, "") from error
        return f"cannot be read: {said(error)}"
    return None


def _other_rows(table: str, file: StagedFile, content: bytes, version: int | None, run: str | None) -> str | None:
    """What is wrong with the rows of a file: other columns than its table's, or other rows than were committed."""
    read = pq.ParquetFile(pa.BufferReader(content))
    missing = sorted(columns_at(table, version or 1) - set(read.schema_arrow.names))
    if missing:
        return f"holds other columns than table {table}: {', '.join(missing)} are missing"
    if read.metadata.num_rows != file.rows:
        return f"has {read.metadata.num_rows:,} rows, the log says {file.rows:,}"
    runs = set(read.read(["run_id"])["run_id"].to_pylist()) if run is not None else set()
    if runs - {run}:
        return f"holds rows of run {min(runs - {run})}, the log says of run {run}"
    if version is None:  # another program wrote it: no hash vouches for its bytes
        read.read()
    return None
