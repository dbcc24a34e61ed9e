"""Signed files hold. Every change is found, and its place is named."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.statements import POLICY, draft, history, statements
from tests.unit.royalty.proof.forger import (
    Plain,
    canonical,
    facts_of,
    forged_bundle,
    forged_statement,
)
from tribute.royalty.proof.bundle import build_bundle, with_proofs
from tribute.royalty.proof.findings import Problem
from tribute.royalty.proof.signing import new_key
from tribute.royalty.proof.verdict import verdict
from tribute.royalty.proof.verify import check_bundle, check_statement, verify_bundle, verify_statement

PEM, PUBLIC = new_key()
ISSUED = statements()
FACTS = facts_of(ISSUED[0])
BUNDLE = build_bundle(FACTS, ISSUED, PEM)
STATEMENT = with_proofs(BUNDLE, ISSUED)[1]
SMALL = build_bundle(FACTS, statements(publishers=("a", "b"), sources=1, pools=(("EUR", "p", 1_000),)), PEM)

Change = Callable[[Plain], object]


def places(problems: list[Problem]) -> list[str]:
    return [problem.place for problem in problems]


def test_what_is_issued_holds() -> None:
    assert verify_bundle(BUNDLE.canonical(), PUBLIC) == []
    for statement in with_proofs(BUNDLE, ISSUED):
        assert verify_statement(statement.canonical(), PUBLIC) == verify_statement(statement.canonical()) == []


def test_months_under_all_kinds_of_terms_hold() -> None:
    for month in history(8, 5):
        bundle = build_bundle(facts_of(month[0]), month, PEM)
        assert check_bundle(bundle, PUBLIC) == []
        assert [check_statement(statement, PUBLIC) for statement in with_proofs(bundle, month)] == [[]] * len(
            month
        )


def test_a_draft_is_not_signed_and_only_its_sums_are_checked(tmp_path: Path) -> None:
    file = tmp_path / "draft.json"
    file.write_bytes(draft().canonical())
    found = verdict(file)
    assert [each.place for each in found.problems] == ["status", "proof"]
    assert found.as_text().startswith("NOT SIGNED: this statement is a draft of an open period. It adds up")
    assert "DOES NOT HOLD" not in found.as_text()
    file.write_bytes(draft(amount="7,916.68 EUR").canonical())
    headline, *problems = verdict(file).as_text().splitlines()
    assert headline == "DOES NOT HOLD: this statement is an unsigned draft, and it does not add up."
    assert [line.split(":")[0] for line in problems] == ["  amount"]


def test_an_empty_period_holds() -> None:
    assert verify_bundle(build_bundle(FACTS, [], PEM).canonical(), PUBLIC) == []


def regions(value: object, path: str = "", start: int = 0) -> Iterator[tuple[str, int, int]]:
    """Path, first byte and end of every key and every innermost value in canonical JSON."""
    if not isinstance(value, dict | list) or not value:
        yield path, start, start + len(canonical(value))
        return
    at = start + 1
    for step, item in sorted(value.items()) if isinstance(value, dict) else enumerate(value):
        inner = f"{path}[{step}]" if isinstance(step, int) else f"{path}.{step}".removeprefix(".")
        if isinstance(step, str):
            yield f"{inner} (key)", at, at + len(canonical(step))
            at += len(canonical(step)) + 1
        yield from regions(item, inner, at)
        at += len(canonical(item)) + 1


@pytest.mark.parametrize("as_bundle", [True, False])
def test_a_changed_byte_in_every_region_is_found(as_bundle: bool) -> None:
    document = SMALL if as_bundle else with_proofs(SMALL, SMALL.statements)[0]
    content, seen = document.canonical(), 0
    for path, start, end in regions(document.plain()):
        at = (start + end) // 2
        changed = content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]
        found = places((verify_bundle if as_bundle else verify_statement)(changed))
        assert found, path
        seen += 1
        unit = re.match(r"statements\[\d+\]|\w+", path)
        named = any(unit and place.startswith((unit[0], "document")) for place in found)
        assert named or not as_bundle, (path, found)
    assert seen > 200


def changed_digit(path: str) -> list[str]:
    """Places found after the last digit of a value in the big bundle became another."""
    content = BUNDLE.canonical()
    start, end = next((start, end) for at, start, end in regions(BUNDLE.plain()) if at == path)
    digit = max(at for at in range(start, end) if content[at : at + 1].isdigit())
    other = content[:digit] + (b"1" if content[digit : digit + 1] != b"1" else b"2") + content[digit + 1 :]
    return places(verify_bundle(other, PUBLIC))


@pytest.mark.parametrize(
    ("path", "also"),
    [
        ("statements[2].lines[1].amount_minor", "statements[2]"),
        ("statements[2].lines[1].amount", "statements[2]"),
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
        ("simulation.train_run", "signature"),
        ("code_version", "signature"),
        ("facts_sha256.inputs", "signature"),
        ("policy.sha256", "signature"),
        ("tree_size", "public_key"),
        ("root", "public_key"),
    ],
)  # fmt: skip
def test_a_changed_digit_is_named(path: str, also: str) -> None:
    found = changed_digit(path)
    expected = {"inputs[0].rows": "inputs"}
    assert expected.get(path, path) in found
    assert also in found


@pytest.mark.parametrize("path", ["signature", "head_signature", "public_key"])
def test_a_changed_signature_or_key_is_named(path: str) -> None:
    text = getattr(BUNDLE, path)
    changed = BUNDLE.model_copy(update={path: text[:-1] + ("0" if text[-1] != "0" else "1")})
    assert path in places(check_bundle(changed))


def test_another_key_than_the_known_one_is_found() -> None:
    known = new_key()[1]
    assert places(check_bundle(BUNDLE, known)) == ["public_key"]
    assert places(check_statement(STATEMENT, known)) == ["proof.public_key"]


def set_to(path: str, value: object) -> Change:
    def change(statement: Plain) -> None:
        *outer, last = (int(step) if step.isdigit() else step for step in path.split("."))
        at: Any = statement
        for step in outer:
            at = at[step]
        at[last] = value

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
        (set_to("lines.0.amount_minor", True), "lines[0].amount_minor"),
        (set_to("agreement.comment", "hi"), "agreement.comment"),
        (set_to("status", "draft"), "status"),
        (lambda statement: statement["lines"].append(statement["lines"][0]), "totals.line_count"),
        (lambda statement: statement["lines"].append(statement["lines"][0]), "lines[6].line_id"),
    ],
)  # fmt: skip
def test_a_signature_does_not_make_a_wrong_statement_right(change: Change, place: str) -> None:
    changed = [each.plain() for each in ISSUED]
    change(changed[0])
    bundle = forged_bundle(FACTS.plain(), changed, PEM)
    assert f"statements[0].{place}" in places(verify_bundle(canonical(bundle), PUBLIC))


def test_what_a_statement_shows_alone_its_bundle_shows_too() -> None:
    changed = [each.plain() for each in ISSUED]
    set_to("balance.opening_balance_minor", 5)(changed[0])
    bundle = forged_bundle(FACTS.plain(), changed, PEM)
    alone = places(verify_statement(canonical(forged_statement(bundle, 0)), PUBLIC))
    assert alone
    assert {f"statements[0].{place}" for place in alone} <= set(places(verify_bundle(canonical(bundle), PUBLIC)))


def test_a_pool_that_is_not_paid_out_is_found() -> None:
    assert "statements[1].pools[0].pool_amount_minor" in places(check_bundle(build_bundle(FACTS, ISSUED[1:], PEM)))


def test_pools_that_differ_between_statements_are_found() -> None:
    changed = [each.plain() for each in ISSUED]
    set_to("pools.0.pool_amount_minor", 7)(changed[0])
    found = places(verify_bundle(canonical(forged_bundle(FACTS.plain(), changed, PEM))))
    assert "statements[2].pools[0].pool_amount_minor" in found


def test_statements_out_of_order_of_another_policy_or_with_a_proof_are_found() -> None:
    first, second, *rest = BUNDLE.statements
    swapped = BUNDLE.model_copy(update={"statements": (second, first, *rest)})
    assert "statements[1].statement_id" in places(check_bundle(swapped))
    other = build_bundle(facts_of(ISSUED[0], policy={**POLICY, "name": "x"}), ISSUED, PEM)
    assert "statements[0].policy" in places(check_bundle(other))
    with_proof = BUNDLE.model_copy(update={"statements": tuple(with_proofs(BUNDLE, ISSUED))})
    assert places(check_bundle(with_proof)) == [f"statements[{n}].proof" for n in range(len(ISSUED))]


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (set_to("proof.tree_size", 31), "proof.signature"),
        (set_to("proof.tree_size", 0), "proof.hashes"),
        (set_to("proof.leaf_index", 0), "proof.root"),
        (set_to("proof.leaf_index", 10**29), "proof.hashes"),
        (set_to("proof.hashes", []), "proof.hashes"),
        (set_to("proof.root", "ab" * 32), "proof.root"),
        (set_to("proof.period", "2026-11"), "proof.period"),
        (set_to("proof.signature", "ab" * 64), "proof.signature"),
        (set_to("proof.public_key", "ab" * 32), "proof.signature"),
        (set_to("model_id", "other"), "proof.signature"),
        (lambda statement: statement.pop("proof"), "proof"),
    ],
)  # fmt: skip
def test_a_changed_proof_is_named(change: Change, place: str) -> None:
    changed = STATEMENT.plain()
    change(changed)
    assert place in places(verify_statement(canonical(changed)))


def test_the_bundle_names_the_runs_of_its_statements() -> None:
    runs = {name: getattr(ISSUED[0], name) for name in ("value_run", "simulate_run", "train_run")}
    for named, expected in ((runs, []), ({}, []), (runs | {"train_run": "train-2"}, ["simulation.train_run"])):
        bundle = build_bundle(facts_of(ISSUED[0], simulation=named), ISSUED, PEM)
        assert places(check_bundle(bundle)) == expected
