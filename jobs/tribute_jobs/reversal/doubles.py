"""Finds versions of a month that two runs issued as final, as earlier releases let two folders on one lake do."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import NamedTuple

from tribute.config import Project
from tribute.errors import MoneyError
from tribute.royalty.account import GENESIS, Entry, entries
from tribute.royalty.document import Statement, read_statement
from tribute.royalty.proof import merkle_root
from tribute_jobs.period.ledger import read_ledger
from tribute_storage import open_tables


class FinalRun(NamedTuple):
    """A run that issued a version: when, its statements, and whether the ledger and the signed bundle are theirs.

    `bundle_run`: the run of `bundles` that signed its statements; None: none did.
    """

    run_id: str
    committed: datetime
    statements: tuple[Statement, ...]
    posted: bool
    bundle_run: str | None


class DoubleFinal(NamedTuple):
    """A version that several runs issued as final. The first of `runs` stands.

    It is the one that was posted to the ledger, else the one that was signed, else the one that came first.
    """

    period: str
    version: int
    runs: tuple[FinalRun, ...]

    @property
    def problem(self) -> str:
        """What is wrong, and the command for each run that is to be reversed."""
        standing, *void = self.runs
        commands = "; ".join(
            f"tribute reverse PROJECT.yaml --period {self.period} --run {each.run_id} --reason WHY"
            for each in void
        )
        return (
            f"version {self.version} of {self.period} was issued {len(self.runs)} times as final, so no month can "
            f"follow it. {standing.run_id} stands: it {why_it_stands(self)}. Reverse the rest: {commands}"
        )


def why_it_stands(double: DoubleFinal) -> str:
    """Why the first of the runs stands, after `it`."""
    standing = double.runs[0]
    done = ["was posted to the ledger"] * standing.posted + ["was signed"] * (standing.bundle_run is not None)
    return " and ".join(done) or "was committed first"


def double_finals(project: Project) -> list[DoubleFinal]:
    """Versions that several runs issued as final and that no reversal has repaired, by month and version.

    Raises:
        LedgerError: the ledger's chain does not hold, so nobody can tell what was posted.
    """
    with open_tables(project.lake_root, "statements", "bundles") as connection:
        rows = connection.execute(
            "select s.period, s.statement_version, r.committed_at, s.run_id, s.json from statements s "
            "join runs r on r.run_id = s.run_id and r.table_name = 'statements' where s.status = 'final' qualify "
            "count(distinct s.run_id) over (partition by s.period, s.statement_version) > 1 order by all"
        ).fetchall()
        signed = connection.execute("select period, statement_version, root, run_id from bundles").fetchall()
    if not rows:
        return []
    bundles = {(period, version, root): run_id for period, version, root, run_id in signed}
    ledger = read_ledger(project)
    found = []
    for (period, version), group in groupby(rows, key=lambda row: row[:2]):
        own = [
            _final_run(run_id, committed, [read_statement(row[4]) for row in of_run], ledger, bundles)
            for (committed, run_id), of_run in groupby(group, key=lambda row: row[2:4])
        ]
        ranked = sorted(own, key=lambda each: (not each.posted, each.bundle_run is None, each.committed))
        found.append(DoubleFinal(period, version, tuple(ranked)))
    return found


def require_single_finals(project: Project) -> None:
    """Refuse a lake in which several runs issued a version as final.

    Raises:
        MoneyError: one was, and no reversal has repaired it.
        LedgerError: the ledger's chain does not hold.
    """
    if doubles := double_finals(project):
        problem = doubles[0].problem
        raise MoneyError(f"{problem[0].upper()}{problem[1:]}")


def _final_run(
    run_id: str,
    committed: datetime,
    statements: Sequence[Statement],
    ledger: Iterable[Entry],
    bundles: Mapping[tuple[str, int, str], str],
) -> FinalRun:
    first, names = statements[0], {each.statement_id for each in statements}
    expected = [entry for each in statements for entry in entries(each, 1, GENESIS)]
    found = [entry for entry in ledger if entry.statement_id in names]
    posted = bool(expected) and sorted(map(_movement, expected)) == sorted(map(_movement, found))
    bundle_run = bundles.get((first.period, first.statement_version, merkle_root(statements)))
    return FinalRun(run_id, committed, tuple(statements), posted, bundle_run)


def _movement(entry: Entry) -> tuple[str, str, str, tuple[tuple[str, int], ...]]:
    """An entry without its place in the chain."""
    postings = tuple((each.account, each.amount_minor) for each in entry.postings)
    return entry.statement_id, entry.narration, entry.currency, postings
