"""Keeps the lake's files few while the service adds to them."""

from tribute_storage import Lake, LakeError, checkpoint, compact, small_files

TABLES = ("queries", "influence", "predicted")
MAX_SMALL_FILES = 16
"""More small files of a table than these are joined."""
SMALL_ROWS = 500_000
"""Fewer rows make a file a small one."""


def keep_small_files_few(lake: Lake) -> None:
    """Join the small files of the tables that live uses go to, where there are many. Readers are not disturbed."""
    for table in TABLES:
        try:
            if small_files(lake, table, SMALL_ROWS) > MAX_SMALL_FILES:
                compact(lake, table, 2 * SMALL_ROWS)
                checkpoint(lake, table)
        except LakeError:
            continue  # others keep committing; the next flush tries again
