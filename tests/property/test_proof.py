"""Laws of the proof and of the ledger."""

from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.statements import history, statements
from tests.unit.royalty.proof.forger import canonical, facts_of
from tribute.errors import LedgerError, ProofError
from tribute.royalty.account.ledger import GENESIS, Entry, Posting, account_name, balances, check_chain, entries
from tribute.royalty.document import Bundle, Statement
from tribute.royalty.exact.money import Money
from tribute.royalty.proof.bundle import build_bundle, with_proofs
from tribute.royalty.proof.merkle import MerkleTree, leaf_hash, root_from_proof
from tribute.royalty.proof.recompute.statement import amount_text
from tribute.royalty.proof.signing import new_key
from tribute.royalty.proof.verify import check_statement, verify_bundle, verify_statement

PEM, PUBLIC = new_key()
many = settings(max_examples=10_000, deadline=None, suppress_health_check=list(HealthCheck))
some = settings(max_examples=200, deadline=None)
few = settings(max_examples=25, deadline=None)


@st.composite
def leaves(draw: st.DrawFn) -> tuple[list[bytes], int]:
    """Leaf hashes, and the index of the one that is proven."""
    size = draw(st.integers(1, 70))
    return [leaf_hash(bytes([n])) for n in range(size)], draw(st.integers(0, size - 1))


def inclusion_law(case: tuple[list[bytes], int], data: st.DataObject) -> None:
    """A leaf leads to the root; no changed bit of leaf or hash, no other place and no other order does."""
    hashes, index = case
    tree, size = MerkleTree(hashes), len(hashes)
    proof = tree.inclusion_proof(index)
    assert root_from_proof(hashes[index], index, size, proof) == tree.root
    parts = [hashes[index], *proof]
    at, bit = data.draw(st.integers(0, len(parts) - 1)), data.draw(st.integers(0, 255))
    parts[at] = bytes(byte ^ (1 << bit % 8 if n == bit // 8 else 0) for n, byte in enumerate(parts[at]))
    assert root_from_proof(parts[0], index, size, parts[1:]) != tree.root
    elsewhere = data.draw(st.integers(0, size - 1))
    if elsewhere != index:
        assert leads_elsewhere(hashes[index], elsewhere, size, proof, tree.root)
    swapped = data.draw(st.permutations(proof))
    if swapped != proof:
        assert root_from_proof(hashes[index], index, size, swapped) != tree.root


def leads_elsewhere(leaf: bytes, index: int, size: int, proof: list[bytes], root: bytes) -> bool:
    """Whether these do not give the root."""
    try:
        return root_from_proof(leaf, index, size, proof) != root
    except ProofError:
        return True


@given(leaves(), st.data())
@some
def test_a_leaf_is_proven_in_its_place_only(case: tuple[list[bytes], int], data: st.DataObject) -> None:
    inclusion_law(case, data)


@pytest.mark.slow
@given(leaves(), st.data())
@many
def test_a_leaf_is_proven_in_its_place_only_often(case: Any, data: st.DataObject) -> None:
    inclusion_law(case, data)


def period(seed: int) -> tuple[Bundle, list[Statement]]:
    """A signed bundle of a random month, and its statements with proofs."""
    random = Random(seed)
    names = [f"p{n}" for n in range(random.randrange(1, 5))]
    pools = [("EUR", "a", random.randrange(10**6)), ("KWD", "b", random.randrange(10**4))][
        : random.randrange(1, 3)
    ]
    issued = statements("2026-10", names, random.randrange(1, 4), pools, seed=seed)
    bundle = build_bundle(facts_of(issued[0]), issued, PEM)
    return bundle, with_proofs(bundle, issued)


@given(st.integers(0, 10**6))
@few
def test_every_bundle_and_each_of_its_statements_holds(seed: int) -> None:
    bundle, proven = period(seed)
    assert verify_bundle(bundle.canonical(), PUBLIC) == []
    assert all(verify_statement(statement.canonical(), PUBLIC) == [] for statement in proven)


BUNDLE, PROVEN = period(3)
CONTENTS = (BUNDLE.canonical(), PROVEN[0].canonical())


def byte_law(bundle: bool, data: st.DataObject) -> None:
    """One byte changed, left out or put in is found, whatever it is."""
    content = CONTENTS[0 if bundle else 1]
    at = data.draw(st.integers(0, len(content) - 1))
    byte = bytes([data.draw(st.integers(0, 255))])
    change = data.draw(st.sampled_from(["change", "drop", "insert"]))
    changed = content[:at] + (b"" if change == "drop" else byte) + content[at + (change != "insert") :]
    assume(changed != content)
    assert (verify_bundle if bundle else verify_statement)(changed)


@given(st.booleans(), st.data())
@some
def test_no_byte_changes_unseen(bundle: bool, data: st.DataObject) -> None:
    byte_law(bundle, data)


@pytest.mark.slow
@given(st.booleans(), st.data())
@many
def test_no_byte_changes_unseen_often(bundle: bool, data: st.DataObject) -> None:
    byte_law(bundle, data)


@given(st.integers(0, 40).filter(lambda size: size != BUNDLE.tree_size))
@few
def test_another_tree_size_is_found_on_a_statement(size: int) -> None:
    """The root alone does not determine the size: the signature does."""
    for statement in PROVEN:
        changed = statement.proof.model_copy(update={"tree_size": size})
        places = [each.place for each in check_statement(statement.model_copy(update={"proof": changed}))]
        assert "proof.signature" in places


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
)


@given(
    st.binary(max_size=60)
    | st.builds(lambda value: str(value).replace("'", '"').encode("utf-8", "replace"), json_values)
)
@some
def test_any_bytes_are_findings_and_no_error(content: bytes) -> None:
    assert verify_bundle(content)
    assert verify_statement(content)


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, item in inner for found in _paths(item, (*path, key)))]


PLAIN = PROVEN[0].plain()
PATHS = _paths(PLAIN)[1:]


@given(st.sampled_from(PATHS), json_values)
@some
def test_any_value_anywhere_is_a_finding_and_no_error(path: tuple[Any, ...], value: Any) -> None:
    def put(at: Any, steps: tuple[Any, ...]) -> Any:
        if not steps:
            return value
        copied = dict(at) if isinstance(at, dict) else list(at)
        copied[steps[0]] = put(at[steps[0]], steps[1:])
        return copied

    statement = put(PLAIN, path)
    content = canonical(statement)
    if content != CONTENTS[1]:
        assert verify_statement(content)
        inside = CONTENTS[0].replace(canonical(without_proof(PLAIN)), canonical(without_proof(statement)))
        assert inside == CONTENTS[0] or verify_bundle(inside)


def without_proof(statement: dict[str, Any]) -> dict[str, Any]:
    return {key: item for key, item in statement.items() if key != "proof"}


@given(st.integers(-(10**15), 10**15), st.sampled_from(["EUR", "JPY", "KWD"]))
@some
def test_the_fast_text_of_an_amount_is_the_slow_one(minor: int, currency: str) -> None:
    assert amount_text(minor, currency) == Money(minor, currency).text()


def posted(months: list[list[Statement]]) -> list[Entry]:
    """The ledger of some months, after checking the accounts at the end of every statement."""
    found: list[Entry] = []
    for statement in (each for month in months for each in month):
        found += entries(statement, len(found) + 1, found[-1].sha256 if found else GENESIS)
        publisher, currency, b = statement.publisher_id, statement.currency, statement.balance
        now = balances(found)
        assert now.get((f"Liabilities:Publishers:{publisher}", currency), 0) == -b.closing_balance_minor
        assert now.get((f"Assets:Advances:{publisher}", currency), 0) == b.unrecouped_advance_minor
        reserves = sum(minor for _, minor in b.account.reserves)
        assert now.get((f"Liabilities:Reserves:{publisher}", currency), 0) == -reserves
    return found


def ledger_law(seed: int, months: int) -> None:
    """Every entry sums to zero, every beginning verifies, and the accounts are the statements' own."""
    found = posted(history(months, seed))
    for entry in found:
        assert sum(posting.amount_minor for posting in entry.postings) == 0
        assert all(posting.amount_minor for posting in entry.postings)
    for length in range(len(found) + 1):
        check_chain(found[:length], found[length - 1].sha256 if length else GENESIS)


@given(st.integers(0, 10**6), st.integers(0, 5))
@few
def test_a_ledger_balances_at_every_statement(seed: int, months: int) -> None:
    ledger_law(seed, months)


@pytest.mark.slow
@given(st.integers(0, 10**9), st.integers(0, 3))
@many
def test_a_ledger_balances_at_every_statement_often(seed: int, months: int) -> None:
    ledger_law(seed, months)


LEDGER = posted(history(3, 11))
OTHER = {
    "sequence": 10**6, "date": "1999-01-01", "statement_id": "x", "narration": "x", "currency": "USD",
    "postings": (Posting("Assets:Bank", 1), Posting("Assets:Cash", -1)), "previous_sha256": "ab" * 32,
    "sha256": "cd" * 32,
}  # fmt: skip


@given(st.integers(0, len(LEDGER) - 1), st.sampled_from(sorted(OTHER)))
@some
def test_a_changed_field_is_found_and_its_entry_named(index: int, field: str) -> None:
    changed = [*LEDGER]
    changed[index] = replace(changed[index], **{field: OTHER[field]})
    with pytest.raises(LedgerError, match=f"entry {index + 1} "):
        check_chain(changed)


@given(st.integers(0, len(LEDGER) - 2), st.data())
@few
def test_a_missing_or_misplaced_entry_is_found_and_named(index: int, data: st.DataObject) -> None:
    with pytest.raises(LedgerError, match=f"entry {index + 1} "):
        check_chain(LEDGER[:index] + LEDGER[index + 1 :])
    other = data.draw(st.integers(index + 1, len(LEDGER) - 1))
    swapped = [*LEDGER]
    swapped[index], swapped[other] = swapped[other], swapped[index]
    with pytest.raises(LedgerError, match=f"entry {index + 1} "):
        check_chain(swapped)


ids = st.text(st.sampled_from("abxX4120-ID Ö:"), max_size=6) | st.text(max_size=6)


@given(ids, ids)
@some
def test_two_publishers_never_share_an_account_name(one: str, other: str) -> None:
    names = [account_name(f"Liabilities:Publishers:{publisher}") for publisher in (one, other)]
    assert (names[0] == names[1]) == (one == other)
    component = names[0].removeprefix("Liabilities:Publishers:")
    assert component.isascii() and component.replace("-", "").isalnum() and not component[0].islower()
