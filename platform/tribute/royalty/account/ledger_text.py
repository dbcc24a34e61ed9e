"""A ledger as beancount text, which anyone can check with a tool that is not ours."""

import re
from collections.abc import Iterable, Iterator
from datetime import date, timedelta

from tribute.royalty.account.ledger import ADVANCES, PUBLISHERS, RESERVES, Entry, balances
from tribute.royalty.exact.money import Money
from tribute.royalty.exact.text import one_line

_PLAIN_START = re.compile(r"[a-wyz0-9]")
_ESCAPED = re.compile(r"[^a-z0-9-]")


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
