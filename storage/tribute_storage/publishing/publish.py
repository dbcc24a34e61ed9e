"""DuckDB files for readers: one for the operator, and one per publisher with its own rows only."""

from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path

import duckdb

from tribute_storage.errors import LakeError
from tribute_storage.lake import Lake
from tribute_storage.publishing.file import build, building_in, file_name, install
from tribute_storage.publishing.rows import known_periods, known_publishers, prepare, turn_to
from tribute_storage.querying.literals import literal
from tribute_storage.querying.views import committed_files, open_files
from tribute_storage.refusals import fault
from tribute_storage.schemas import SCHEMAS
from tribute_storage.upkeep.examination import explained, require_sound

MEMORY = "1GiB"
NAMED, SHOWN = 20, 80
"""Publishers that a message lists, and the characters that it shows of each."""


def publish(
    root: Path | str,
    folder: Path,
    *,
    publishers: Sequence[str] | None = None,
    operator: bool = True,
    period: str | None = None,
    advanced: Callable[[int, int], None] | None = None,
) -> list[Path]:
    """Write `operator.duckdb` and a `publisher-ID.duckdb` per publisher; returns their paths.

    All files show one moment of the lake. Each is built under a temporary name and renamed when complete, so
    that a crash leaves the old file or the new one. They are read-only copies: nothing in them points to the lake.

    Args:
        publishers: ids; None: every publisher that the lake names.
        period: only this month, as YYYY-MM, of tables whose rows belong to a month.
        advanced: called with the number of written tables and their total.

    Raises:
        LakeDamaged: a file of the lake is not what was written.
        LakeError: the lake has no rows, a publisher or the period is unknown, another process publishes to the
            folder, or a file cannot be written.
    """
    require_sound(Lake(root))
    files = committed_files(root)
    if not any(files.values()):
        raise LakeError(f"Nothing to publish: the lake {root} has no rows. Make some: tribute run PROJECT.yaml")
    try:
        with explained(str(root), list(files)), open_files(root, files) as connection:
            readers = _readers(connection, publishers, operator)
            _check_period(connection, period)
            step = _stepper(len(readers) * len(SCHEMAS), advanced)
            with building_in(folder) as building:
                _limit(connection, building)
                prepare(connection, Lake(root), period)
                return [_written(connection, folder, building, reader, period, step) for reader in readers]
    except (duckdb.Error, OSError) as error:
        remedy = "Every file there is complete, old or new; publish again."
        raise fault(f"Could not publish to {folder}", error, remedy) from error


def _readers(
    connection: duckdb.DuckDBPyConnection, publishers: Sequence[str] | None, operator: bool
) -> list[str | None]:
    """The readers to write files for; None is the operator."""
    known = known_publishers(connection)
    wanted = known if publishers is None else list(dict.fromkeys(publishers))
    unknown = [publisher for publisher in wanted if publisher not in known]
    if unknown:
        named = ", ".join(repr(name[:SHOWN]) for name in unknown[:NAMED])
        raise LakeError(f"The lake knows no publisher {named}; it knows: {_listed(known)}.")
    if not wanted and not operator:
        raise LakeError("Nothing to publish: no publisher is named, and the operator's file is not wanted.")
    return [*([None] if operator else []), *wanted]


def _listed(publishers: Sequence[str]) -> str:
    """A few ids, each cut, and how many more there are."""
    shown = ", ".join(name[:SHOWN] for name in publishers[:NAMED])
    return f"{shown} and {len(publishers) - NAMED:,} more" if len(publishers) > NAMED else shown or "none"


def _check_period(connection: duckdb.DuckDBPyConnection, period: str | None) -> None:
    known = [] if period is None else known_periods(connection)
    if period is not None and period not in known:
        raise LakeError(
            f"Nothing to publish: the lake has no rows of period {period[:SHOWN]!r}; it has: "
            f"{', '.join(known) or 'none'}."
        )


def _limit(connection: duckdb.DuckDBPyConnection, building: Path) -> None:
    connection.execute(f"SET memory_limit = '{MEMORY}'")
    connection.execute("SET preserve_insertion_order = false")  # rows are sorted as they are inserted
    connection.execute(f"SET temp_directory = {literal(str(building / 'spilled'))}")


def _stepper(total: int, advanced: Callable[[int, int], None] | None) -> Callable[[], None]:
    done = count(1)
    return lambda: None if advanced is None else advanced(next(done), total)


def _written(
    connection: duckdb.DuckDBPyConnection,
    folder: Path,
    building: Path,
    reader: str | None,
    period: str | None,
    step: Callable[[], None],
) -> Path:
    target, temporary = folder / file_name(reader), building / "file.duckdb"
    if reader is not None:
        turn_to(connection, reader, period)
    build(connection, temporary, reader, period, step)
    install(temporary, target)
    return target
