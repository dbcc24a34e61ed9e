"""Entries of a statement, the hash chain, and the export to beancount."""

import re
from collections import defaultdict
from dataclasses import replace
from decimal import Decimal

import pytest
from beancount import loader

from tests.statements import history, revised, statements
from tribute.errors import LedgerError
from tribute.royalty.account.ledger import (
    GENESIS,
    Entry,
    Posting,
    account_name,
    balances,
    beancount,
    check_chain,
    entries,
)
from tribute.royalty.document import Statement

STRANGE = ("aurora", "Borealis & Söhne", 'x"\\1\n', "", "a:b", "Aurora")


def ledger(months: list[list[Statement]]) -> list[Entry]:
    """Everything that happened, from the first entry on."""
    posted: list[Entry] = []
    for statement in (each for month in months for each in month):
        posted += entries(statement, len(posted) + 1, posted[-1].sha256 if posted else GENESIS)
    return posted


def full_statement() -> Statement:
    """A statement on which everything moves."""
    agreements = {"aurora": {"advances": (("2026-10", 90),), "guarantee_minor": 2_000_000}}
    issued = statements(agreements=agreements, adjustments={("aurora", "EUR"): [-7, 0, 3]})
    statement = next(each for each in issued if each.key == ("aurora", "EUR"))
    moved = {"reserve_held_minor": 11, "reserve_released_minor": 12, "withholding_tax_minor": 13}
    return revised(statement, {f"balance.{name}": minor for name, minor in moved.items()})


def test_every_movement_has_its_two_accounts() -> None:
    statement = full_statement()
    b = statement.balance
    found = [(e.narration, e.postings[0].account, e.postings[1].account, e.postings[0].amount_minor)
             for e in entries(statement, 5, "ab" * 32)]  # fmt: skip
    owed, advances, reserves = (
        "Liabilities:Publishers:aurora",
        "Assets:Advances:aurora",
        "Liabilities:Reserves:aurora",
    )
    assert found == [
        ("Royalty earned", "Expenses:Royalties", owed, b.royalty_earned_minor),
        ("Adjustment of old-0: correction 0", "Expenses:Royalties", owed, -7),
        ("Adjustment of old-2: correction 2", "Expenses:Royalties", owed, 3),
        ("Advance granted", advances, "Assets:Bank", 90),
        ("Advance recouped", owed, advances, 90),
        ("Guarantee shortfall", "Expenses:Guarantees", owed, b.minimum_guarantee_shortfall_minor),
        ("Reserve held", owed, reserves, 11),
        ("Reserve released", reserves, owed, 12),
        ("Tax withheld", owed, "Liabilities:Withholding", 13),
        ("Payment", owed, "Assets:Bank", b.amount_paid_minor),
    ]


def test_entries_are_numbered_dated_and_chained() -> None:
    statement = full_statement()
    posted = entries(statement, 5, "ab" * 32)
    assert [entry.sequence for entry in posted] == list(range(5, 15))
    assert [entry.previous_sha256 for entry in posted] == ["ab" * 32, *(entry.sha256 for entry in posted[:-1])]
    assert {(entry.date, entry.currency) for entry in posted} == {("2026-10-31", "EUR")}


def test_a_statement_without_movement_has_no_entries() -> None:
    nothing = statements(pools=(("EUR", "advertising", 0),))[0]
    assert entries(nothing, 1, GENESIS) == ()


def test_a_draft_is_not_posted() -> None:
    with pytest.raises(LedgerError, match="is draft"):
        entries(revised(statements()[0], {"status": "draft"}), 1, GENESIS)


def test_a_statement_is_posted_once() -> None:
    first, second = statements()[:2]
    with pytest.raises(LedgerError, match=f"posts statement {first.statement_id} a second time"):
        check_chain(ledger([[first, second, first]]))


def test_a_cut_off_end_is_found_by_the_last_hash() -> None:
    posted = ledger([statements()])
    check_chain([], GENESIS)
    check_chain(posted, posted[-1].sha256)
    with pytest.raises(LedgerError, match=f"entry {len(posted)} is missing"):
        check_chain(posted[:-1], posted[-1].sha256)


def test_an_entry_that_does_not_sum_to_zero_is_found_though_its_hash_is_right() -> None:
    from_hash = replace(ledger([statements()])[0], postings=(Posting("Assets:Bank", 5),))
    rehashed = replace(from_hash, sha256=_hash(from_hash))
    with pytest.raises(LedgerError, match=r"entry 1 of .* sums to 5, not to 0"):
        check_chain([rehashed])


def _hash(entry: Entry) -> str:
    try:
        check_chain([entry])
    except LedgerError as error:
        return re.search(r"its hash is ([0-9a-f]{64})", str(error))[1]  # type: ignore[index]
    return entry.sha256


def test_balances_are_per_currency_and_sum_to_zero() -> None:
    found = balances(ledger([statements()]))
    assert {currency for _, currency in found} == {"EUR", "JPY"}
    assert sum(minor for (_, currency), minor in found.items() if currency == "EUR") == 0
    assert found["Expenses:Royalties", "EUR"] == 1_001_500


@pytest.mark.parametrize(
    ("publisher", "name"),
    [
        ("aurora", "Aurora"), ("aurora-press", "Aurora-press"), ("7days", "7days"), ("Aurora", "IDX41Xurora"),
        ("", "ID"), ("xylo", "IDxylo"), ("a b", "AX20Xb"), ("Ünï", "IDXDCXnXEFX"), ("-a", "ID-a"),
    ],
)  # fmt: skip
def test_publisher_ids_become_account_names(publisher: str, name: str) -> None:
    assert account_name(f"Liabilities:Publishers:{publisher}") == f"Liabilities:Publishers:{name}"
    assert account_name("Assets:Bank") == "Assets:Bank"


def test_beancount_text_is_read_by_a_strict_reader() -> None:
    posted = ledger(history(4, 7, STRANGE))
    transactions, closing = read_beancount(beancount(posted))
    assert len(transactions) == len(posted)
    exponents = {"EUR": 2, "JPY": 0}
    assert closing == {
        (account_name(account), currency): Decimal(minor).scaleb(-exponents[currency])
        for (account, currency), minor in balances(posted).items()
    }


def test_an_empty_ledger_is_empty_text() -> None:
    assert beancount([]) == 'option "title" "Royalties"\n'


def test_beancount_itself_finds_no_fault() -> None:
    posted = ledger(history(4, 7, STRANGE))
    directives, errors, _ = loader.load_string(beancount(posted))
    assert errors == []
    transactions = [each for each in directives if type(each).__name__ == "Transaction"]
    assert [each.meta["sha256"] for each in transactions] == [entry.sha256 for entry in posted]


_ACCOUNT = r"(?:Assets|Liabilities|Expenses)(?::[A-Z0-9][A-Za-z0-9-]*)+"
_STRING = r'"(?:[^"\\\n]|\\["\\])*"'
_OPEN = re.compile(rf"(\d{{4}}-\d\d-\d\d) open ({_ACCOUNT})")
_HEAD = re.compile(rf"(\d{{4}}-\d\d-\d\d) \* {_STRING}")
_META = re.compile(rf"  (?:statement|number|sha256): (?:{_STRING}|\d+)")
_POSTING = re.compile(rf"  ({_ACCOUNT})  (-?\d+(?:\.\d+)?) ([A-Z]{{3}})")
_BALANCE = re.compile(rf"\d{{4}}-\d\d-\d\d balance ({_ACCOUNT})  (-?\d+(?:\.\d+)?) ([A-Z]{{3}})")
_OPTION = re.compile(rf'option {_STRING} {_STRING}')  # fmt: skip


def read_beancount(text: str) -> tuple[list[dict[str, Decimal]], dict[tuple[str, str], Decimal]]:
    """Transactions and asserted balances; fails on any line, account or sum that beancount would refuse."""
    opened: dict[str, str] = {}
    transactions: list[dict[str, Decimal]] = []
    sums: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    closing: dict[tuple[str, str], Decimal] = {}
    day = ""
    for line in text.splitlines():
        if found := _OPEN.fullmatch(line):
            assert found[2] not in opened
            opened[found[2]] = found[1]
        elif found := _HEAD.fullmatch(line):
            day = found[1]
            transactions.append(defaultdict(Decimal))
        elif found := _POSTING.fullmatch(line):
            assert opened[found[1]] <= day
            transactions[-1][found[3]] += Decimal(found[2])
            sums[found[1], found[3]] += Decimal(found[2])
        elif found := _BALANCE.fullmatch(line):
            closing[found[1], found[3]] = Decimal(found[2])
        else:
            assert not line or _META.fullmatch(line) or _OPTION.fullmatch(line), line
    assert all(total == 0 for transaction in transactions for total in transaction.values())
    assert closing == dict(sums)
    return transactions, closing
