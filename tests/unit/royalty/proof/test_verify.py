"""What is signed holds; whatever is changed is found, and its place is named."""

import copy
import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.royalty.blame import names, paths_by_byte, spans
from tests.unit.royalty.issued import POLICY, history, statements
from tribute.royalty.exact.canonical import canonical_json
from tribute.royalty.proof.bundle import BundleFacts, build_bundle, with_proofs
from tribute.royalty.proof.signing import new_key
from tribute.royalty.proof.verify import Problem, verify_bundle, verify_statement

PEM, PUBLIC = new_key()
INPUT = {"table": "values", "run_ids": ["value-1"], "rows": 3, "sha256": "ab" * 32}
FACTS = BundleFacts("demo", "2026-10", "1.0", POLICY, [INPUT], {"method": "unrolled", "seed": 1})
ISSUED = statements()
BUNDLE = build_bundle(FACTS, ISSUED, PEM)
STATEMENT = with_proofs(BUNDLE, ISSUED)[1]
SMALL = build_bundle(FACTS, statements(publishers=("a", "b"), sources=1, pools=(("EUR", "p", 1_000),)), PEM)

Change = Callable[[dict[str, Any]], object]


def places(problems: list[Problem]) -> list[str]:
    return [problem.place for problem in problems]


def assert_found(document: dict[str, Any], content: bytes, paths: list[str], offset: int, byte: int) -> None:
    """That one changed byte of a bundle is found, in the right place."""
    changed = content[:offset] + bytes([byte]) + content[offset + 1 :]
    problems = verify_bundle(changed, document["public_key"])
    assert problems, (offset, byte)
    if not any(names(place, paths[offset], offset) for place in places(problems)):
        # A bracket or quote put in or taken out: the text breaks further on, where its partner is missed.
        (problem,) = problems
        assert {content[offset], byte} & set(b'"\\{}[],:'), (paths[offset], problem)
        assert problem.text.startswith("is not JSON"), (paths[offset], problem)
        assert int(problem.place.removeprefix("byte ").partition(",")[0]) > offset, (paths[offset], problem)


def test_what_is_issued_holds() -> None:
    assert verify_bundle(canonical_json(BUNDLE), PUBLIC) == []
    for statement in with_proofs(BUNDLE, ISSUED):
        assert (
            verify_statement(canonical_json(statement), PUBLIC)
            == verify_statement(canonical_json(statement))
            == []
        )


def test_months_under_all_kinds_of_terms_hold() -> None:
    for month in history(8, 5):
        facts = BundleFacts("demo", month[0]["period"], "1.0", POLICY, [], {})
        bundle = build_bundle(facts, month, PEM)
        assert verify_bundle(canonical_json(bundle), PUBLIC) == []
        for statement in with_proofs(bundle, month):
            assert verify_statement(canonical_json(statement), PUBLIC) == []


def test_an_empty_period_holds() -> None:
    assert verify_bundle(canonical_json(build_bundle(FACTS, [], PEM)), PUBLIC) == []


def test_every_byte_of_a_bundle_counts() -> None:
    """Each byte one up: digits and letters become others, quotes, brackets and commas break the text."""
    content, paths = canonical_json(SMALL), paths_by_byte(SMALL)
    for offset in range(len(content)):
        assert_found(SMALL, content, paths, offset, content[offset] ^ 1)


@pytest.mark.slow
def test_every_byte_of_a_bundle_counts_often() -> None:
    """Each byte with three of its bits changed, and as one of the marks of JSON, in turn."""
    content, paths = canonical_json(SMALL), paths_by_byte(SMALL)
    marks = b'"\\{}[],: 0'
    for offset, byte in enumerate(content):
        bits = {byte ^ (1 << (offset + step) % 8) for step in (0, 3, 6)}
        for changed in (bits | {marks[offset % len(marks)]}) - {byte}:
            assert_found(SMALL, content, paths, offset, changed)


def test_every_byte_of_a_statement_counts() -> None:
    content = canonical_json(with_proofs(SMALL, SMALL["statements"])[0])
    for offset in range(len(content)):
        changed = content[:offset] + bytes([content[offset] ^ 1]) + content[offset + 1 :]
        assert verify_statement(changed), offset


def changed_digit(path: str) -> list[str]:
    """Places found after the last digit of a value in the big bundle became another."""
    content = canonical_json(BUNDLE)
    start, end = next((start, end) for start, end, at in reversed(list(spans(BUNDLE))) if at == path)
    digit = max(at for at in range(start, end) if content[at : at + 1].isdigit())
    other = content[:digit] + (b"1" if content[digit : digit + 1] != b"1" else b"2") + content[digit + 1 :]
    return places(verify_bundle(other, PUBLIC))


@pytest.mark.parametrize(
    ("path", "also"),
    [
        ("statements[2].lines[1].amount_minor", "statements[2].lines[1]"),
        ("statements[2].lines[1].amount", "statements[2].lines[1]"),
        ("statements[1].amount_minor", "statements[1]"),
        ("statements[1].amount", "statements[1]"),
        ("statements[1].totals.lines_amount_minor", "statements[1]"),
        ("statements[1].totals.line_count", "statements[1]"),
        ("statements[0].currency_exponent", "statements[0]"),
        ("statements[0].share", "statements[0]"),
        ("statements[0].share_percent", "statements[0]"),
        ("statements[0].policy.sha256", "statements[0]"),
        ("statements[0].pools[0].pool_amount_minor", "statements[0]"),
        ("statements[0].pools[0].pool_amount", "statements[0]"),
        ("statements[0].pools[0].net_revenue_minor", "statements[0]"),
        ("statements[0].balance.royalty_earned_minor", "statements[0]"),
        ("statements[0].balance.royalty_allocated_minor", "statements[0]"),
        ("statements[0].balance.payable_before_tax_minor", "statements[0]"),
        ("statements[0].balance.closing_balance_minor", "statements[0]"),
        ("statements[0].balance.carried_forward_minor", "statements[0]"),
        ("statements[0].balance.account.balance_minor", "statements[0]"),
        ("statements[0].balance.amount_paid_minor", "statements[0]"),
        ("statements[0].balance.royalty_rate", "statements[0]"),
        ("leaves[3]", "root"),
        ("statement_sha256[1]", "signature"),
        ("inputs[0].rows", "signature"),
        ("simulation.seed", "signature"),
        ("code_version", "signature"),
        ("facts_sha256.inputs", "signature"),
        ("policy.sha256", "signature"),
        ("tree_size", "public_key"),
        ("root", "public_key"),
    ],
)  # fmt: skip
def test_a_changed_digit_is_named(path: str, also: str) -> None:
    found = changed_digit(path)
    expected = {"inputs[0].rows": "inputs", "simulation.seed": "simulation"}
    assert expected.get(path, path) in found
    assert also in found


@pytest.mark.parametrize("path", ["signature", "head_signature", "public_key"])
def test_a_changed_signature_or_key_is_named(path: str) -> None:
    changed = copy.deepcopy(BUNDLE)
    changed[path] = changed[path][:-1] + ("0" if changed[path][-1] != "0" else "1")
    assert path in places(verify_bundle(canonical_json(changed)))


def test_another_key_than_the_known_one_is_found() -> None:
    known = new_key()[1]
    assert places(verify_bundle(canonical_json(BUNDLE), known)) == ["public_key"]
    assert places(verify_statement(canonical_json(STATEMENT), known)) == ["proof.public_key"]


def signed_again(change: Change) -> list[str]:
    """What remains to be found when the payer itself signs changed statements."""
    changed = copy.deepcopy(ISSUED)
    change(changed[0])
    bundle = build_bundle(FACTS, changed, PEM)
    of_bundle = places(verify_bundle(canonical_json(bundle), PUBLIC))
    alone = places(verify_statement(canonical_json(with_proofs(bundle, changed)[0]), PUBLIC))
    assert {f"statements[0].{place}" for place in alone} <= set(of_bundle)
    return of_bundle


def set_to(path: str, value: object) -> Change:
    def change(statement: dict[str, Any]) -> None:
        *outer, last = path.split(".")
        for step in outer:
            statement = statement[int(step)] if step.isdigit() else statement[step]  # type: ignore[call-overload]
        statement[int(last) if last.isdigit() else last] = value  # type: ignore[index]

    return change


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (set_to("balance.opening_balance_minor", 5), "balance.payable_before_tax_minor"),
        (set_to("balance.advance_recouped_minor", 10**9), "balance.advance_recouped_minor"),
        (set_to("balance.advance_granted_minor", 10**9), "balance.unrecouped_advance_minor"),
        (set_to("balance.reserve_held_minor", -1), "balance.reserve_held_minor"),
        (set_to("balance.withholding_tax_rate", "0.15"), "balance.withholding_tax_rate"),
        (set_to("balance.adjustments", [{"reason": "r", "adjusts_statement_id": "s", "amount_minor": 4}]),
         "balance.prior_period_adjustment_minor"),
        (set_to("agreement.threshold_minor", 10**12), "balance.amount_paid_minor"),
        (set_to("parts.moved", "1/7"), "share"),
        (set_to("policy.text", "Paid by mood."), "policy.sha256"),
        (set_to("currency", "EUX"), "currency"),
        (set_to("lines.0.pool_id", "x"), "lines[0].pool_id"),
        (set_to("pools.0.deductions", []), "pools[0].net_revenue_minor"),
        (set_to("pools.0.royalty_rate", "1/0"), "pools[0].royalty_rate"),
        (set_to("pools.0.royalty_rate", "1e999999999"), "pools[0].royalty_rate"),
        (set_to("parts.attributed", "0x1"), "parts.attributed"),
        (set_to("lines.0.amount_minor", 10**30), "lines[0].amount_minor"),
        (set_to("lines.0.amount_minor", "5"), "lines[0].amount_minor"),
        (set_to("lines.0.amount_minor", True), "lines[0].amount_minor"),
        (set_to("lines.1", None), "lines[1]"),
        (set_to("balance", []), "balance"),
        (set_to("comment", "hi"), "comment"),
        (set_to("lines.0.comment", "hi"), "lines[0].comment"),
        (set_to("agreement.comment", "hi"), "agreement.comment"),
        (lambda statement: statement.pop("agreement"), "agreement"),
        (lambda statement: statement["lines"][0].pop("tokens"), "lines[0].tokens"),
        (lambda statement: statement["lines"].append(statement["lines"][0]), "totals.line_count"),
        (lambda statement: statement["lines"].append(statement["lines"][0]), "lines[6].line_id"),
    ],
)  # fmt: skip
def test_a_signature_does_not_make_a_wrong_statement_right(change: Change, place: str) -> None:
    assert f"statements[0].{place}" in signed_again(change)


def test_a_pool_that_is_not_paid_out_is_found() -> None:
    bundle = build_bundle(FACTS, ISSUED[1:], PEM)
    assert "statements[1].pools[0].pool_amount_minor" in places(verify_bundle(canonical_json(bundle), PUBLIC))


def test_pools_that_differ_between_statements_are_found() -> None:
    assert "statements[2].pools[0].pool_amount_minor" in signed_again(set_to("pools.0.pool_amount_minor", 7))


def test_statements_out_of_order_and_of_another_policy_are_found() -> None:
    swapped = BUNDLE | {
        "statements": [BUNDLE["statements"][1], BUNDLE["statements"][0], *BUNDLE["statements"][2:]]
    }
    assert "statements[1].statement_id" in places(verify_bundle(canonical_json(swapped)))
    other = build_bundle(BundleFacts("demo", "2026-10", "1", {**POLICY, "name": "x"}, [], {}), ISSUED, PEM)
    assert "statements[0].policy" in places(verify_bundle(canonical_json(other)))


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (set_to("proof.tree_size", 31), "proof.signature"),
        (set_to("proof.first_leaf", 0), "proof.hashes"),
        (set_to("proof.first_leaf", -1), "proof.hashes"),
        (set_to("proof.hashes", []), "proof.hashes"),
        (set_to("proof.root", "ab" * 32), "proof.root"),
        (set_to("proof.period", "2026-11"), "proof.period"),
        (set_to("proof.signature", "ab" * 64), "proof.signature"),
        (set_to("proof.public_key", "AB" * 32), "proof.public_key"),
        (set_to("proof.extra", 1), "proof.extra"),
        (set_to("model_id", "other"), "proof.signature"),
        (set_to("status", "draft"), "status"),
        (lambda statement: statement.pop("proof"), "proof"),
    ],
)  # fmt: skip
def test_a_changed_proof_is_named(change: Change, place: str) -> None:
    changed = copy.deepcopy(STATEMENT)
    change(changed)
    assert place in places(verify_statement(canonical_json(changed)))


@pytest.mark.parametrize(
    ("content", "place", "text"),
    [
        (b"", "byte 0, document", "not JSON"),
        (b"\xff\xfe", "byte 0, document", "not UTF-8"),
        (b"%PDF-1.7", "byte 0, document", "not JSON"),
        (b"[]", "document", "is a list, not an object"),
        (b"null", "document", "not an object"),
        (b"{}", "schema", "expected"),
        (b'{"schema":"tribute.statement/1"}', "schema", "expected 'tribute."),
        (b'{"schema":1}', "schema", "is int 1, expected"),
        (b'{"schema":"tribute"}', "schema", "is str 'tribute', expected"),
        (b'{"a":{"b":[1,{"c":x', "byte 18, a.b[1].c", "not JSON"),
        (b'{"a":[0,1.5]}', "document", r"statement\.a\[1\] is a Decimal"),
        (b'{"a":NaN}', "document", r"statement\.a is a Decimal"),
        (b'{"a":1,"a":1}', "byte 6, a", "the key 'a' stands twice"),
        (b'{"b":1,"a":1}', "byte 2, b", "is not canonical JSON"),
        (b'{"a": 1}', "byte 5, a", "is not canonical JSON"),
        (b'{"a":1}\n', "byte 7, document", "is not canonical JSON"),
        (b'{"a":"\\ud800"}', "document", "surrogate"),
        (b'{"a":"\\u0041"}', "byte 6, a", "is not canonical JSON"),
        (b"[" * 100_000, "document", "nested too deeply"),
        (b'{"a":' * 100_000, "document", "nested too deeply"),
        (b'{"a":' + b"9" * 5_000 + b"}", "document", "a number that cannot be read"),
    ],
)  # fmt: skip
def test_garbage_is_one_clear_finding(content: bytes, place: str, text: str) -> None:
    for verify in (verify_bundle, verify_statement):
        (problem,) = verify(content)
        assert problem.place == place
        assert re.search(text, problem.text)


def test_one_document_is_not_the_other() -> None:
    (problem,) = verify_bundle(canonical_json(STATEMENT))
    assert problem == Problem("schema", "is str 'tribute.statement/2', expected 'tribute.bundle/1'")
    (problem,) = verify_statement(canonical_json(BUNDLE))
    assert problem.place == "schema"


def test_a_file_of_an_earlier_release_is_told_from_a_forged_one() -> None:
    (problem,) = verify_statement(canonical_json(STATEMENT | {"schema": "tribute.statement/1"}))
    assert problem.place == "schema"
    assert problem.text.endswith("If another release of tribute wrote the file, verify it with that")
    older = copy.deepcopy(STATEMENT)
    del older["restates_statement_version"]
    (problem,) = verify_statement(canonical_json(older))
    assert problem.place == "restates_statement_version"
    assert problem.text == "is missing. If another release of tribute wrote the file, verify it with that"


def test_the_bundle_tells_the_runs_of_its_statements() -> None:
    runs = {name: ISSUED[0][name] for name in ("value_run", "simulate_run", "train_run")}
    for told, expected in ((runs, []), (runs | {"train_run": "train-2"}, ["simulation.train_run"])):
        facts = BundleFacts("demo", "2026-10", "1.0", POLICY, [], told)
        assert places(verify_bundle(canonical_json(build_bundle(facts, ISSUED, PEM)))) == expected
