"""Bytes that are not the canonical JSON of a document: every problem at once, each with its place."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.statements import statements
from tests.unit.royalty.proof.forger import canonical, facts_of
from tribute.royalty.document import Bundle, Statement
from tribute.royalty.proof.bundle import build_bundle, with_proofs
from tribute.royalty.proof.findings import Problem
from tribute.royalty.proof.parser import parse
from tribute.royalty.proof.signing import new_key

ISSUED = statements()
BUNDLE = build_bundle(facts_of(ISSUED[0]), ISSUED, new_key()[0])
STATEMENT = with_proofs(BUNDLE, ISSUED)[1]
RELEASE = "If another release of tribute wrote the file, verify it with that release"


def problems(content: bytes, model: type[Statement] | type[Bundle] = Statement) -> list[Problem]:
    """What is wrong with bytes that are not a document."""
    found = parse(content, model)
    assert isinstance(found, list)
    return found


def changed(path: str, value: object) -> dict[str, Any]:
    """The statement with one value replaced or added."""
    plain = STATEMENT.plain()
    *outer, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    at: Any = plain
    for step in outer:
        at = at[step]
    at[last] = value
    return plain


def test_canonical_json_of_a_document_is_the_document() -> None:
    assert parse(STATEMENT.canonical(), Statement) == STATEMENT
    assert parse(BUNDLE.canonical(), Bundle) == BUNDLE


@pytest.mark.parametrize(
    ("content", "place", "message"),
    [
        (b"", "document", "is not JSON"),
        (b"\xff\xfe", "document", "is not JSON"),
        (b"%PDF-1.7", "document", "is not JSON"),
        (b"[]", "document", "is a list, expected an object"),
        (b"null", "document", "is null, expected an object"),
        (b"{}", "schema", "is missing"),
        (b'{"schema":1}', "schema", "is 1, expected 'tribute"),
        (b'{"schema":"tribute.statement/1"}', "schema", f"expected 'tribute.*{RELEASE}$"),
        (b"[" * 100_000, "document", "is not JSON: recursion limit exceeded"),
        (b'{"a":' * 100_000, "document", "is not JSON: recursion limit exceeded"),
        (b'{"a":' + b"9" * 5_000 + b"}", "document", "is not JSON: number out of range"),
        (b'{"a":"\\ud800"}', "document", "is not JSON"),
    ],
)  # fmt: skip
def test_garbage_is_one_clear_problem(content: bytes, place: str, message: str) -> None:
    for model in (Statement, Bundle):
        [problem] = problems(content, model)
        assert problem.place == place
        assert re.search(message, problem.message)


@pytest.mark.parametrize(
    ("path", "value", "place", "message"),
    [
        ("amount_minor", "5", "amount_minor", "is '5', expected a whole number"),
        ("amount_minor", True, "amount_minor", "is true, expected a whole number"),
        ("amount_minor", 1.5, "amount_minor", "is 1.5, expected a whole number"),
        ("amount_minor", 5.0, "amount_minor", "is 5.0, expected a whole number"),
        ("amount_minor", float("nan"), "amount_minor", "is nan, expected a whole number"),
        ("amount_minor", 10**30, "amount_minor", f"is {10**30}, expected less than {10**30}"),
        ("usage_count", -1, "usage_count", "is -1, expected at least 0"),
        ("amount", None, "amount", "is null, expected text"),
        ("share", "1/0", "share", "is '1/0', expected a number as text, such as 0.25 or 1/4"),
        ("share", "1e999999999", "share", "expected a number as text"),
        ("share", "9" * 4_001, "share", r"is '9{76}\.\.\., expected a number as text"),
        ("value_nats", "1/2", "value_nats", "is '1/2', expected a decimal number as text, such as -0.25"),
        ("value_nats", "1\n", "value_nats", r"is '1\\n', expected a decimal number as text"),
        ("period", "2026-13", "period", "is '2026-13', expected a month such as 2026-10"),
        ("proof.root", "AB" * 32, "proof.root", "expected 64 lower-case hexadecimal digits"),
        ("proof.signature", "ab", "proof.signature", "expected 128 lower-case hexadecimal digits"),
        ("status", "paid", "status", "is 'paid', expected 'draft' or 'final'"),
        ("lines.1", None, "lines[1]", "is null, expected"),
        ("lines.1.line_type", "gift", "lines[1].line_type", "is 'gift', expected 'source', 'unattributed'"),
        ("lines.1.tokens", "x" * 100, "lines[1].tokens", r"is 'x{76}\.\.\., expected a whole number"),
        ("lines.1.terms", [], "lines[1].terms", "is a list, expected an object"),
        ("lines", {}, "lines", "is an object, expected a list"),
        ("balance", [], "balance", "is a list, expected an object"),
        ("balance.account.reserves", [["2026-13", 1]], "balance.account.reserves[0][0]", "expected a month"),
        ("balance.account.reserves", [["2026-10"]], "balance.account.reserves[0][1]", "is missing"),
        ("policy.noise_floor", 1, "policy.noise_floor", "is 1, expected true or false"),
        ("comment", "hi", "comment", f"is an unknown key. {RELEASE}"),
        ("lines.0.comment", "hi", "lines[0].comment", "is an unknown key"),
        ("k" * 200, "hi", "k" * 77 + "...", "is an unknown key"),
    ],
)  # fmt: skip
def test_a_value_of_another_kind_is_named_with_its_place(
    path: str, value: object, place: str, message: str
) -> None:
    [problem] = problems(canonical(changed(path, value)))
    assert problem.place == place
    assert re.search(message, problem.message)


@pytest.mark.parametrize("path", ["restates_statement_version", "agreement", "lines.0.tokens"])
def test_a_missing_key_is_named_and_may_be_another_releases(path: str) -> None:
    plain = changed(path, None)
    at: Any = plain["lines"][0] if "lines" in path else plain
    del at[path.rpartition(".")[2]]
    [problem] = problems(canonical(plain))
    assert problem == Problem(path.replace(".0", "[0]"), f"is missing. {RELEASE}")


def test_all_problems_come_at_once_of_each_list_those_of_the_first_invalid_item() -> None:
    plain = BUNDLE.plain()
    for statement in plain["statements"]:
        statement["amount_minor"], statement["lines"][1] = (
            None,
            statement["lines"][1] | {"amount": 7, "tokens": ""},
        )
    plain["root"] = 5
    places = [problem.place for problem in problems(canonical(plain), Bundle)]
    inside = [f"statements[0].{name}" for name in ("lines[1].tokens", "lines[1].amount", "amount_minor")]
    assert places == [*inside, "root"]


def test_a_hostile_file_has_few_problems() -> None:
    lines = changed("lines", [{"line_type": "source"}] * 10_000)
    assert len(problems(canonical(lines))) < 20
    keys = changed("totals", {f"key {n}": 0 for n in range(10_000)})
    [problem] = problems(canonical(keys))
    assert problem.place == "document" and "does not fit the schema in 10,002 places" in problem.message


def spaced(content: bytes) -> bytes:
    return content.replace(b":", b": ", 1)


def unsorted(content: bytes) -> bytes:
    return json.dumps(dict(reversed(json.loads(content).items())), separators=(",", ":")).encode()


@pytest.mark.parametrize(
    ("rewrite", "message"),
    [
        (spaced, r"is not canonical JSON \(sorted keys, no spaces\): byte \d+ begins b' "),
        (unsorted, "is not canonical JSON"),
        (lambda content: content + b"\n", r"is not canonical JSON .* begins b'\\n', expected b''"),
        (lambda content: content.replace(b'"a', b'"\\u0061', 1), "is not canonical JSON"),
        (lambda content: content.replace(b'"period":', b'"period":"","period":', 1), "the key 'period' twice"),
        (lambda content: content.replace(b'"confidence"', b'"amount_low":null,"confidence"'), "is not canonical"),
    ],
)  # fmt: skip
def test_one_document_has_one_sequence_of_bytes(rewrite: Callable[[bytes], bytes], message: str) -> None:
    [problem] = problems(rewrite(STATEMENT.canonical()))
    assert problem.place == "document"
    assert re.search(message, problem.message)


def test_one_document_is_not_the_other() -> None:
    assert problems(STATEMENT.canonical(), Bundle) == [
        Problem("schema", f"is 'tribute.statement/2', expected 'tribute.bundle/2'. {RELEASE}")
    ]
    assert [problem.place for problem in problems(BUNDLE.canonical())] == ["schema"]


def test_long_content_is_not_read() -> None:
    content = STATEMENT.canonical()
    assert parse(content, Statement, max_bytes=len(content)) == STATEMENT
    [problem] = parse(content, Statement, max_bytes=len(content) - 1)
    assert problem.message == f"has {len(content):,} bytes, expected at most {len(content) - 1:,}"
