"""The publishers that a key can belong to."""

import difflib

from tribute.catalog import lineage, read_book
from tribute.config import Project
from tribute.errors import ConfigError
from tribute.ids import excerpt, listed, nfc
from tribute_storage import open_tables


def require_publisher(project: Project, publisher_id: str) -> str:
    """A publisher's id as the project writes it.

    Raises:
        ConfigError: the project has no such publisher; names one that looks like it, or says where they are named.
        RightsError: the file of rights cannot be read.
    """
    known, wanted = _publishers(project), nfc(publisher_id)
    if wanted in known:
        return wanted
    if not known:
        raise ConfigError(
            "The publishers are not known yet: the corpus names them, and it was not read. Run: tribute train "
            "PROJECT.yaml. Or name them in a file: rights.sources"
        )
    near = difflib.get_close_matches(wanted, known, n=1)
    hint = f"Did you mean {near[0]}?" if near else f"Known are: {listed(sorted(known))}"
    raise ConfigError(f"No publisher is called {excerpt(wanted)}. {hint}")


def _publishers(project: Project) -> set[str]:
    """All publishers of the rights, or else of the corpus."""
    sources = dict[str, str]()
    if project.rights.sources is None:
        with open_tables(project.lake_root, "corpus_sources") as connection:
            rows = connection.execute(
                "select source_id, publisher from corpus_sources where run_id = $1", [lineage(project).corpus_run]
            ).fetchall()
        sources = dict(rows)
        if not sources:
            return set()
    book = read_book(project, sources)
    return {each.publisher_id for each in book.publishers} | {right.publisher_id for right in book.rights}
