"""The whole lake, looked through: for anybody who asks, before a stage, and after a failed query."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import duckdb
import pyarrow as pa

from tribute_storage.errors import Damage, LakeDamaged, LakeError, LakeUnavailable
from tribute_storage.integrity.commits import FOLDER, damaged_log
from tribute_storage.integrity.files import Hashed, damaged_files
from tribute_storage.integrity.register import Mark, mark
from tribute_storage.integrity.remedies import remedy
from tribute_storage.lake import Lake
from tribute_storage.log import TableLog, files_of
from tribute_storage.refusals import fault, refusal, said
from tribute_storage.schemas import SCHEMAS

MISTAKES = (duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException, duckdb.ConversionException)
"""Errors of a statement, whatever the files hold."""


def damage(lake: Lake, *tables: str, hashed: Hashed | None = None) -> list[Damage]:
    """Every file of the lake that is not as it was written, and every table whose log or folder is gone.

    Reads all of them: a gigabyte takes a second on a local disk.

    Args:
        tables: only these; none named: all.
        hashed: see `damaged_files`.

    Raises:
        LakeUnavailable: the disk or the store refuses.
        LakeError: a later release wrote a table.
    """
    return [each for table in tables or SCHEMAS for each in _damage(lake, table, hashed)]


def _damage(lake: Lake, table: str, hashed: Hashed | None) -> Iterator[Damage]:
    log = TableLog(lake.location, table)
    try:
        found = damaged_log(lake.location, table)
        yield from found
        snapshot = log.snapshot()
        files, runs = files_of(snapshot), log.run_of_file() if hashed is None else {}
    except OSError as error:
        if refusal(error):
            raise fault(f"Table {table} of {lake.root} cannot be read", error, "") from error
        yield Damage(table, f"{table}/{FOLDER}", f"cannot be read: {said(error)}", remedy(table))
    except LakeUnavailable:
        raise
    except LakeDamaged as error:
        yield from (each for each in error.found if each not in found)
    else:
        yield from damaged_files(lake.location, table, files, hashed, runs)
        if snapshot is not None:
            mark(lake.location, table, Mark(snapshot.version(), str(snapshot.metadata().id)))


def require_sound(lake: Lake, hashed: Hashed | None = None) -> None:
    """Look through a lake before anything rests on it, and mark tables that a release before the register made.

    Raises:
        LakeDamaged: a file is damaged; says which, and how many more there are.
        LakeUnavailable: the disk or the store refuses.
    """
    found = damage(lake, hashed=hashed)
    if found:
        raise LakeDamaged.of(lake.root, found)


@contextmanager
def explained(root: str, tables: Sequence[str]) -> Iterator[None]:
    """Says in one message which file is to blame for an error of DuckDB or Arrow, or that the machine is.

    Raises:
        LakeDamaged: a file of these tables is damaged.
        LakeUnavailable: the disk, the store or the folder for spilled rows refuses.
    """
    try:
        yield
    except MISTAKES:
        raise
    except (duckdb.Error, pa.ArrowException) as error:
        problem = explanation(root, tables, error)
        if problem is None:
            raise
        raise problem from error


def explanation(root: str, tables: Sequence[str], error: BaseException) -> LakeError | None:
    """What made a query fail, if it was the machine or a file of these tables."""
    if refusal(error):
        return fault(f"The lake {root} could not be read", error, "")
    if "max_temp_directory_size" in str(error):
        return LakeUnavailable(
            f"A query of the lake {root} needs more room for rows that it puts aside than the disk has: "
            f"{said(error)}. Make room there, or set TMPDIR to another folder, then run the same command again."
        )
    found = damage(Lake(root), *tables)
    return LakeDamaged.of(Lake(root).root, found) if found else None
