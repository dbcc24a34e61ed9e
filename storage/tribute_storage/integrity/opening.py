"""Opens a table's log: the table, no table, or what is wrong with it. A table that had a commit is never empty."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from urllib.parse import unquote

from deltalake import DeltaTable, Schema
from deltalake.exceptions import DeltaError, TableNotFoundError

from tribute_storage.errors import Damage, LakeDamaged, LakeError
from tribute_storage.integrity.commits import FOLDER, damaged_log, empty_commits
from tribute_storage.integrity.register import gone, marked, taken_back
from tribute_storage.integrity.remedies import remedy
from tribute_storage.location import Location
from tribute_storage.refusals import fault, refusal, said
from tribute_storage.schemas import columns_at, schema_of


def open_log(location: Location, table: str) -> DeltaTable | None:
    """The newest version of a table; None if it never had a commit.

    Raises:
        LakeDamaged: its log is gone, cut, or that of another table.
        LakeUnavailable: the disk or the store refuses.
        LakeError: a later release wrote the table.
    """
    with log_errors(location, table):
        mark = marked(location, table)  # before the log, which may only be newer then
        try:
            snapshot = DeltaTable(location.path(table))
        except TableNotFoundError:
            if mark is None:
                return None
            raise LakeDamaged.of(location.uri, gone(location, table)) from None
        found = (taken_back(table, snapshot, mark) if mark else []) or empty_commits(location, table)
    if found:
        raise LakeDamaged.of(location.uri, found)
    _require_known(location, table, snapshot)
    return snapshot


@contextmanager
def log_errors(location: Location, table: str) -> Iterator[None]:
    """Says what is wrong where a log cannot be read: the machine, or a file of it. Raises what `open_log` does."""
    try:
        yield
    except (DeltaError, OSError, ValueError) as error:
        raise unreadable_log(location, table, error) from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # of Rust, which Python knows as no Exception
            raise
        raise unreadable_log(location, table, error) from error


def log_errors_of(snapshot: DeltaTable) -> AbstractContextManager[None]:
    """`log_errors` of the table of a snapshot, whose log is read on as it is asked."""
    root, _, table = unquote(snapshot.table_uri).rstrip("/").rpartition("/")
    return log_errors(Location.of(root), table)


def unreadable_log(location: Location, table: str, error: BaseException) -> LakeError:
    """The error to raise: what keeps a log from being read is the machine, one of its files, or a later format."""
    what = f"Table {table} of {location.uri} cannot be read"
    if refusal(error):
        return fault(what, error, "")
    try:
        found = damaged_log(location, table)
    except OSError as problem:
        if refusal(problem):
            return fault(what, problem, "")
        found = []
    if not found and "nsupported" in str(error):
        return LakeError(f"{what}: {said(error)}. Use the release of tribute that wrote it.")
    whole = Damage(table, f"{table}/{FOLDER}", f"cannot be read: {said(error)}", remedy(table))
    return LakeDamaged.of(location.uri, found or [whole])


def _require_known(location: Location, table: str, snapshot: DeltaTable) -> None:
    """Refuse a table of other columns: a later release's, of which this one would drop some, or a foreign one."""
    expected = {field.name: str(field.type) for field in Schema.from_arrow(schema_of(table)).fields}
    found = {field.name: str(field.type) for field in snapshot.schema().fields}
    missing = columns_at(table, 1) - found.keys()
    others = {name for name in expected.keys() & found.keys() if expected[name] != found[name]}
    if missing or others:
        wrong = ", ".join(sorted(missing | others))
        what = f"is another table, of columns {', '.join(found)} (missing or of another type: {wrong})"
        raise LakeDamaged.of(location.uri, [Damage(table, table, what, f"Move it away. {remedy(table)}")])
    if unknown := sorted(found.keys() - expected.keys()):
        raise LakeError(
            f"Table {table} of {location.uri} was written by a later release of tribute: this one does not know "
            f"its column {', '.join(unknown)}. Use the release that wrote it."
        )
