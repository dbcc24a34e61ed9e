"""Double-entry ledger of closed statements: entries sum to zero, are chained by hash and never change."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta

from tribute.errors import LedgerError
from tribute.royalty.document import AccountBalance, Statement
from tribute.royalty.exact.canonical import canonical_json
from tribute.royalty.exact.money import Money
from tribute.royalty.exact.text import one_line

GENESIS = "0" * 64
HEADS = "bundles say how many entries there were, and the last hash"
"""Previous hash of the first entry, whose sequence number is 1."""

ROYALTIES, GUARANTEES = "Expenses:Royalties", "Expenses:Guarantees"
BANK, WITHHOLDING = "Assets:Bank", "Liabilities:Withholding"
ADVANCES, PUBLISHERS, RESERVES = "Assets:Advances:", "Liabilities:Publishers:", "Liabilities:Reserves:"
"""Followed by the publisher's id as its statements show it."""
_PLAIN_START = re.compile(r"[a-wyz0-9]")
_ESCAPED = re.compile(r"[^a-z0-9-]")


@dataclass(frozen=True)
class Posting:
    """A movement of one account: debit above 0, credit below."""

    account: str
    amount_minor: int


@dataclass(frozen=True)
class Entry:
    """One event of one statement; its postings sum to zero. `sha256` is over canonical JSON of all the rest."""

    sequence: int
    date: str
    statement_id: str
    narration: str
    currency: str
    postings: tuple[Posting, ...]
    previous_sha256: str
    sha256: str = ""


def entry_sha256(entry: Entry) -> str:
    """The hash that an entry must carry: of canonical JSON of all its fields but `sha256`."""
    fields = {key: value for key, value in vars(entry).items() if key != "sha256"}
    postings = [{"account": each.account, "amount_minor": each.amount_minor} for each in entry.postings]
    return hashlib.sha256(canonical_json(fields | {"postings": postings})).hexdigest()


def entries(statement: Statement, sequence: int, previous_sha256: str) -> tuple[Entry, ...]:
    """The entries of a final statement: one for each movement that is not zero.

    Movements, in order: royalty earned, every adjustment, advance granted, advance recouped, guarantee shortfall,
    reserve held, reserve released, tax withheld, payment. A statement that supersedes a posted one is not posted:
    its difference is an adjustment of a later statement.

    Args:
        sequence: of the first entry; 1 at the start of a ledger.
        previous_sha256: hash of the entry before; GENESIS at the start of a ledger.

    Raises:
        LedgerError: the statement is not final.
    """
    if statement.status != "final":
        raise LedgerError(
            f"Statement {statement.statement_id} is {statement.status}. Only final ones are posted; close it"
        )
    posted: list[Entry] = []
    for narration, amount, debit, credit in _movements(statement.publisher_id, statement.balance):
        if amount:
            entry = Entry(
                sequence=sequence + len(posted),
                date=statement.period_end,
                statement_id=statement.statement_id,
                narration=narration,
                currency=statement.currency,
                postings=(Posting(debit, amount), Posting(credit, -amount)),
                previous_sha256=posted[-1].sha256 if posted else previous_sha256,
            )
            posted.append(replace(entry, sha256=entry_sha256(entry)))
    return tuple(posted)


def _movements(publisher: str, balance: AccountBalance) -> Iterator[tuple[str, int, str, str]]:
    """Narration, amount, debited account, credited account."""
    owed, advances, reserves = PUBLISHERS + publisher, ADVANCES + publisher, RESERVES + publisher
    yield "Royalty earned", balance.royalty_earned_minor, ROYALTIES, owed
    for each in balance.adjustments:
        narration = f"Adjustment of {each.adjusts_statement_id}: {each.reason}"
        yield narration, each.amount_minor, ROYALTIES, owed
    yield "Advance granted", balance.advance_granted_minor, advances, BANK
    yield "Advance recouped", balance.advance_recouped_minor, owed, advances
    yield "Guarantee shortfall", balance.minimum_guarantee_shortfall_minor, GUARANTEES, owed
    yield "Reserve held", balance.reserve_held_minor, owed, reserves
    yield "Reserve released", balance.reserve_released_minor, reserves, owed
    yield "Tax withheld", balance.withholding_tax_minor, owed, WITHHOLDING
    yield "Payment", balance.amount_paid_minor, owed, BANK


def check_chain(entries: Iterable[Entry], head_sha256: str | None = None) -> None:
    """Check that entries are a whole ledger from its start: numbered, hashed, balanced, no statement posted twice.

    Every prefix of a ledger passes. Only `head_sha256` reveals that entries were cut off the end.

    Args:
        head_sha256: hash of the last entry, or GENESIS, as the reader knows it.

    Raises:
        LedgerError: names the first entry that is wrong.
    """
    number, previous, statement_id = 1, GENESIS, None
    finished: set[str] = set()
    for entry in entries:
        if problem := _problem(entry, number, previous):
            raise LedgerError(f"Ledger entry {number} {problem}. Restore table ledger from a backup: {HEADS}")
        if entry.statement_id != statement_id:
            if entry.statement_id in finished:
                raise LedgerError(f"Ledger entry {number} posts statement {entry.statement_id} a second time")
            finished.add(entry.statement_id)
        number, previous, statement_id = number + 1, entry.sha256, entry.statement_id
    if head_sha256 not in (None, previous):
        raise LedgerError(
            f"The ledger ends after {number - 1} entries with {previous}, not with {head_sha256}: entry {number} "
            f"is missing. Restore table ledger from a backup: {HEADS}"
        )


def balances(entries: Iterable[Entry]) -> dict[tuple[str, str], int]:
    """Minor units per account and currency, sorted; all of a currency sum to zero."""
    found: dict[tuple[str, str], int] = defaultdict(int)
    for entry in entries:
        for posting in entry.postings:
            found[posting.account, entry.currency] += posting.amount_minor
    return dict(sorted(found.items()))


def beancount(entries: Iterable[Entry]) -> str:
    """Currencies, the accounts from their first use on, a transaction an entry, and every balance at the end.

    Amounts are in major units, exact. Statement, number and hash of an entry are its metadata.
    """
    posted = list(entries)
    blocks = [*_currencies(posted), *_openings(posted), *map(_transaction, posted), *_closings(posted)]
    return "\n".join(['option "title" "Royalties"', *blocks, ""])


def account_name(account: str) -> str:
    """A ledger's account as beancount can name it: two accounts never share a name.

    Of a publisher's id, small letters, digits and dashes stay, all else becomes `X<hexadecimal code>X`; then the
    first letter is made a capital. Where the first is neither letter nor digit (or an x, which would look like an
    escape), `ID` stands in front: `aurora-press` is `Aurora-press`, `Ab` is `IDX41Xb`.
    """
    for group in (ADVANCES, PUBLISHERS, RESERVES):
        if account.startswith(group):
            return group + _component(account.removeprefix(group))
    return account


def _problem(entry: Entry, number: int, previous: str) -> str | None:
    if entry.sequence != number:
        return f"has the number {entry.sequence}: one is missing or out of its place"
    if entry.previous_sha256 != previous:
        return f"does not follow the entry before ({entry.previous_sha256}, expected {previous})"
    if entry.sha256 != entry_sha256(entry):
        return f"of {entry.statement_id} was changed: its hash is {entry_sha256(entry)}, it says {entry.sha256}"
    total = sum(posting.amount_minor for posting in entry.postings)
    return f"of {entry.statement_id} sums to {total}, not to 0" if total else None


def _component(publisher: str) -> str:
    plain = _ESCAPED.sub(lambda found: f"X{ord(found[0]):X}X", publisher)
    return plain[0].upper() + plain[1:] if _PLAIN_START.match(plain) else f"ID{plain}"


def _currencies(posted: list[Entry]) -> Iterator[str]:
    for currency in sorted({entry.currency for entry in posted}):
        yield f'option "operating_currency" "{currency}"'


def _openings(posted: list[Entry]) -> Iterator[str]:
    first: dict[str, str] = {}
    for entry in posted:
        for posting in entry.postings:
            first[posting.account] = min(first.get(posting.account, entry.date), entry.date)
    for account, day in sorted(first.items()):
        yield f"{day} open {account_name(account)}"


def _transaction(entry: Entry) -> str:
    postings = (
        f"  {account_name(each.account)}  {Money(each.amount_minor, entry.currency).decimal():f} {entry.currency}"
        for each in entry.postings
    )
    metadata = (
        f'  statement: {_quoted(entry.statement_id)}\n  number: {entry.sequence}\n  sha256: "{entry.sha256}"'
    )
    return "\n".join([f"\n{entry.date} * {_quoted(entry.narration)}", metadata, *postings])


def _closings(posted: list[Entry]) -> Iterator[str]:
    if posted:
        after = date.fromisoformat(max(entry.date for entry in posted)) + timedelta(days=1)
        yield ""
        for (account, currency), minor in balances(posted).items():
            yield f"{after} balance {account_name(account)}  {Money(minor, currency).decimal():f} {currency}"


def _quoted(text: str) -> str:
    escaped = one_line(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
