"""The text of `tribute ledger check`."""

import json

from tribute.config import Project
from tribute.errors import LedgerError
from tribute.royalty.account import GENESIS, balances, entries
from tribute.royalty.exact import Money
from tribute_jobs.period.ledger import read_ledger
from tribute_jobs.period.statements import read_final_statements
from tribute_jobs.printing import Heading, print_table, terminal


def _require_postings(project: Project, posted: set[str]) -> None:
    """Check that the ledger has every statement that closed a period and moved something."""
    closing: dict[str, int] = {}
    for statement, _ in read_final_statements(project):
        first = closing.setdefault(statement.period, statement.statement_version)
        moved = statement.statement_version == first and entries(statement, 1, GENESIS)
        if moved and statement.statement_id not in posted:
            raise LedgerError(
                f"Statement {statement.statement_id} closed {statement.period} and is not in the ledger. "
                f"Complete it: tribute close PROJECT.yaml --period {statement.period}"
            )


def print_accounts(project: Project, as_json: bool) -> None:
    """The balance of every account, after checking the chain.

    Raises:
        LedgerError: the chain does not hold; names the first broken entry.
    """
    ledger = read_ledger(project)
    _require_postings(project, {entry.statement_id for entry in ledger})
    found = balances(ledger)
    head = ledger[-1].sha256 if ledger else None
    if as_json:
        rows = [{"account": a, "currency": c, "balance_minor": minor} for (a, c), minor in sorted(found.items())]
        print(json.dumps({"entries": len(ledger), "head_sha256": head, "accounts": rows}, indent=2))
        return
    console = terminal()
    accounts = [(account, Money(minor, currency).text()) for (account, currency), minor in sorted(found.items())]
    print_table(console, (Heading("account", right=False), Heading("balance")), accounts)
    summary = (
        f"{len(ledger):,} entries hold together. Head: {head}" if ledger else "No period has been closed yet."
    )
    console.print(f"  {summary}", soft_wrap=True)
