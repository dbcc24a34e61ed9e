"""What moved between two versions of statements, and why: from the statements, and from what the lake knows."""

from collections.abc import Sequence

from tribute.catalog import value_change
from tribute.config import Project
from tribute.royalty.document import Statement
from tribute.royalty.statement import Comparison, compare
from tribute_storage import open_tables


def changes(project: Project, before: Sequence[Statement], after: Sequence[Statement]) -> Comparison:
    """Every publisher's change between two versions, split by cause.

    Args:
        before, after: all statements of a version; neither is empty.

    Raises:
        MoneyError: see `compare`.
    """
    with open_tables(project.lake_root) as connection:
        found = value_change(connection, project.valuation, before[0], after[0])
    return compare(before, after, found)
