"""The ledger in the lake: read, checked, appended to; never edited."""

from collections.abc import Sequence
from itertools import groupby

import pyarrow as pa

from tribute.config import Project
from tribute.errors import LedgerError
from tribute.royalty.account import GENESIS, Entry, Posting, check_chain, entries
from tribute.royalty.document import LedgerHead, Statement
from tribute_storage import SCHEMAS, Basis, Lake, open_tables

COLUMNS = "sequence, date, statement_id, narration, currency, previous_sha256, entry_sha256, account, amount_minor"


def read_ledger(project: Project) -> list[Entry]:
    """Every entry, in order, after checking that the chain holds.

    Raises:
        LedgerError: an entry was changed, is missing or out of place; names it.
    """
    with open_tables(project.lake_root, "ledger") as connection:
        rows = connection.execute(f"select {COLUMNS} from ledger order by sequence, posting").fetchall()
    found = []
    for head, postings in groupby(rows, key=lambda row: row[:7]):
        sequence, date, statement_id, narration, currency, previous, digest = head
        own = tuple(Posting(row[7], row[8]) for row in postings)
        found.append(Entry(sequence, date, statement_id, narration, currency, own, previous, digest))
    check_chain(found)
    return found


def ledger_head(project: Project, period: str) -> LedgerHead:
    """Number of ledger entries up to the end of a period, and the hash of the last one, for the bundle to sign.

    Periods are closed in order and only closing posts, so later entries and restatements change neither.

    Raises:
        LedgerError: the chain does not hold.
    """
    known = [entry for entry in read_ledger(project) if entry.date[:7] <= period]
    return LedgerHead(entries=len(known), sha256=known[-1].sha256 if known else GENESIS)


def post(lake: Lake, project: Project, run_id: str, statements: Sequence[Statement]) -> int:
    """Append the entries of statements that close a period; 0 if the run is posted already, here or elsewhere.

    Raises:
        LedgerError: the chain does not hold, or one of the statements was posted by another run.
        LakeConflict: another process appended entries meanwhile, so that these would not follow the last one.
    """
    if lake.committed("ledger", run_id):
        return 0
    basis = Basis(lake.version("ledger"))
    ledger = read_ledger(project)
    posted = {entry.statement_id for entry in ledger}
    twice = sorted(statement.statement_id for statement in statements if statement.statement_id in posted)
    if twice and lake.committed("ledger", run_id):  # by another folder, since
        return 0
    if twice:
        raise LedgerError(
            f"Statement {twice[0]} is in the ledger already. Run `tribute ledger check PROJECT.yaml`"
        )
    new: list[Entry] = []
    for statement in sorted(statements, key=lambda each: each.statement_id):
        last = [*ledger[-1:], *new[-1:]]
        sequence, previous = (last[-1].sequence + 1, last[-1].sha256) if last else (1, GENESIS)
        new += entries(statement, sequence, previous)
    check_chain([*ledger, *new])  # what would not hold is never appended
    rows = [_row(run_id, entry, number, posting) for entry in new for number, posting in enumerate(entry.postings)]
    lake.append("ledger", run_id, pa.Table.from_pylist(rows, SCHEMAS["ledger"]), basis=basis)
    return len(new)


def _row(run_id: str, entry: Entry, number: int, posting: Posting) -> dict[str, object]:
    return {
        "run_id": run_id,
        "sequence": entry.sequence,
        "posting": number,
        "period": entry.date[:7],
        "date": entry.date,
        "statement_id": entry.statement_id,
        "narration": entry.narration,
        "account": posting.account,
        "amount_minor": posting.amount_minor,
        "currency": entry.currency,
        "previous_sha256": entry.previous_sha256,
        "entry_sha256": entry.sha256,
    }
