"""`tribute verify` and `tribute-verify`: output and exit code for a statement and a bundle."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.statements import RECOUNTED, settled, statements
from tests.unit.jobs.commanding import Ran, tribute
from tests.unit.royalty.proof.forger import canonical, facts_of
from tribute.royalty.document import Bundle, Statement
from tribute.royalty.proof import build_bundle, new_key, public_key, with_proofs
from tribute.royalty.proof.__main__ import main

PEM, PUBLIC = new_key()
ISSUED = statements()
BUNDLE = build_bundle(facts_of(ISSUED[0]), ISSUED, PEM)
PROVEN = with_proofs(BUNDLE, ISSUED)

Verify = Callable[..., Ran]


@pytest.fixture(params=["tribute verify", "tribute-verify"])
def verify(request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> Verify:
    """Both entry points, which print the same."""

    def light(*arguments: object) -> Ran:
        code = main([str(each) for each in arguments])
        printed = capsys.readouterr()
        return Ran(code, printed.out + printed.err)

    return light if request.param == "tribute-verify" else lambda *arguments: tribute("verify", *arguments)


def written(folder: Path, document: object) -> Path:
    path = folder / "sent.json"
    path.write_bytes(document.canonical() if isinstance(document, Statement | Bundle) else canonical(document))
    return path


def test_a_statement_that_holds_says_who_is_paid_what_and_who_signed(verify: Verify, tmp_path: Path) -> None:
    ran = verify(written(tmp_path, PROVEN[0]))
    first = PROVEN[0]
    assert ran.code == 0 and ran.text.startswith("HOLDS: this statement")
    for part in (first.publisher_name, first.statement_id, first.period_start, PUBLIC):
        assert part in ran.text
    assert "Anybody can sign" in ran.text


def test_a_restated_statement_and_its_bundle_say_that_nothing_is_paid(tmp_path: Path) -> None:
    november = settled("2026-11", values=RECOUNTED, version=2)
    bundle = build_bundle(facts_of(november[0]), november, PEM)
    for document in (bundle, with_proofs(bundle, november)[0]):
        ran = tribute("verify", written(tmp_path, document))
        assert ran.code == 0 and "version 2, which restates version 1 and pays nothing" in ran.text
        assert re.search(r"paid +0\.00 EUR\n", ran.text)


def test_with_the_payers_key_it_holds_and_says_so(verify: Verify, tmp_path: Path) -> None:
    path = written(tmp_path, PROVEN[1])
    assert public_key(PEM) == PUBLIC
    assert verify(path, "--key", PUBLIC.upper()).text.endswith("This is the key that you gave.\n")
    other = verify(path, "--key", new_key()[1])
    assert other.code == 1 and f"proof.public_key: is {PUBLIC}, expected the known key" in other.text


def test_a_bundle_that_holds_sums_what_was_paid_by_currency(verify: Verify, tmp_path: Path) -> None:
    ran = verify(written(tmp_path, BUNDLE))
    assert ran.code == 0
    assert "HOLDS: this bundle" in ran.text and "EUR + " in ran.text and "JPY" in ran.text
    assert "6, of 3 publishers" in ran.text and BUNDLE.root in ran.text


@pytest.mark.parametrize("document", [PROVEN[0], BUNDLE], ids=["statement", "bundle"])
def test_a_changed_amount_is_named_with_its_place(
    verify: Verify, tmp_path: Path, document: Statement | Bundle
) -> None:
    changed = document.plain()
    own = changed["statements"][0] if "statements" in changed else changed
    own["lines"][0]["amount_minor"] += 1
    ran = verify(written(tmp_path, changed), "--json")
    found = json.loads(ran.text)
    assert ran.code == 1 and not found["holds"] and found["facts"] == {}
    assert any("lines[0]" in each["place"] for each in found["problems"])
    assert verify(written(tmp_path, changed)).text.startswith("DOES NOT HOLD")


def test_an_unproven_statement_does_not_hold(tmp_path: Path) -> None:
    ran = tribute("verify", written(tmp_path, ISSUED[0]))
    assert ran.code == 1 and "proof: is missing" in ran.text


def test_names_cannot_play_with_the_terminal(verify: Verify, tmp_path: Path) -> None:
    ran = verify(written(tmp_path, PROVEN[0].plain() | {"extra\x1b[2K\u202e": 1}))
    assert ran.code == 1 and not set(ran.text) & {"\x1b", "\u202e"}


def test_many_problems_are_counted(tmp_path: Path) -> None:
    changed = BUNDLE.plain()
    for statement in changed["statements"]:
        for line in statement["lines"]:
            line["amount_minor"] += 1
    ran = tribute("verify", written(tmp_path, changed))
    assert ran.code == 1 and "more; --json lists all" in ran.text and len(ran.text.splitlines()) == 32


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read: No such file"),
        (b"{", "cannot be read as JSON"),
        (b"\xff\xfe", "cannot be read as JSON"),
        (b"[" * 100_000, "cannot be read as JSON"),
        (b"[]", "neither a statement nor a bundle"),
        (b'{"name":"other"}', "neither a statement nor a bundle"),
    ],
)
def test_what_is_not_a_statement_cannot_be_read(
    verify: Verify, tmp_path: Path, content: bytes | None, message: str
) -> None:
    path = tmp_path / "sent.json"
    if content is not None:
        path.write_bytes(content)
    ran = verify(path)
    assert ran.code == 2 and message in ran.text


def test_what_is_not_a_key_is_refused(verify: Verify, tmp_path: Path) -> None:
    ran = verify(written(tmp_path, PROVEN[0]), "--key", "abc")
    assert ran.code == 2 and "64 hexadecimal digits" in ran.text


def test_it_works_far_from_any_project_and_without_the_platform(tmp_path: Path) -> None:
    code = (
        "import sys; from tribute_jobs.commands.prove import app; "
        "app(['verify', 'sent.json'], standalone_mode=False); "
        "sys.exit(sorted({'torch', 'ray', 'mlflow', 'scipy', 'duckdb'} & sys.modules.keys()) or 0)"
    )
    written(tmp_path, PROVEN[0])
    ended = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "") and "HOLDS" in ended.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["sent.json"]
