"""`tribute verify`: what a receiver of a statement or a bundle is told, and the exit code."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.golden.statement_cases import RECOUNTED, settled
from tests.unit.jobs.commanding import tribute
from tests.unit.royalty.issued import POLICY, statements
from tribute.royalty.exact import canonical_json
from tribute.royalty.proof import BundleFacts, build_bundle, new_key, public_key, with_proofs

PEM, PUBLIC = new_key()
FACTS = BundleFacts("demo", "2026-10", "1.0", POLICY, [], {"simulate_run": "simulate-1"})
PROVEN = with_proofs(build_bundle(FACTS, statements(), PEM), statements())
BUNDLE = build_bundle(FACTS, statements(), PEM)


def written(folder: Path, document: dict[str, Any], name: str = "sent.json") -> Path:
    (folder / name).write_bytes(canonical_json(document))
    return folder / name


def test_a_statement_that_holds_says_who_is_paid_what_and_who_signed(tmp_path: Path) -> None:
    ran = tribute("verify", written(tmp_path, PROVEN[0]))
    first = PROVEN[0]
    assert ran.code == 0 and ran.text.startswith("HOLDS: this statement")
    for told in (first["publisher_name"], first["statement_id"], first["period_start"], PUBLIC):
        assert told in ran.text
    assert "Anybody can sign" in ran.text


def test_a_restated_statement_and_its_bundle_say_that_nothing_is_paid(tmp_path: Path) -> None:
    november = settled("2026-11", values=RECOUNTED, version=2)
    facts = BundleFacts("demo", "2026-11", "1.0", november[0]["policy"], [], {})
    bundle = build_bundle(facts, november, PEM)
    sent = (bundle, with_proofs(bundle, november)[0])
    for ran in (tribute("verify", written(tmp_path, document)) for document in sent):
        assert ran.code == 0 and "version 2, which restates version 1 and pays nothing" in ran.text
        assert re.search(r"paid +0\.00 EUR\n", ran.text)


def test_with_the_payers_key_it_holds_and_says_so(tmp_path: Path) -> None:
    path = written(tmp_path, PROVEN[1])
    assert public_key(PEM) == PUBLIC
    assert tribute("verify", path, "--key", PUBLIC.upper()).text.endswith("It is the key that you gave.\n")
    other = tribute("verify", path, "--key", new_key()[1])
    assert other.code == 1 and f"proof.public_key: is {PUBLIC}, not the known key" in other.text


def test_a_bundle_that_holds_sums_what_was_paid_by_currency(tmp_path: Path) -> None:
    ran = tribute("verify", written(tmp_path, BUNDLE))
    assert ran.code == 0
    assert "HOLDS: this bundle" in ran.text and "EUR + " in ran.text and "JPY" in ran.text
    assert "6, of 3 publishers" in ran.text and BUNDLE["root"] in ran.text


@pytest.mark.parametrize("document", [PROVEN[0], BUNDLE], ids=["statement", "bundle"])
def test_a_changed_amount_is_named_with_its_place(tmp_path: Path, document: dict[str, Any]) -> None:
    changed = json.loads(canonical_json(document))
    own = changed["statements"][0] if "statements" in changed else changed
    own["lines"][0]["amount_minor"] += 1
    ran = tribute("verify", written(tmp_path, changed), "--json")
    found = json.loads(ran.text)
    assert ran.code == 1 and not found["holds"] and found["facts"] == {}
    assert any("lines[0]" in each["place"] for each in found["problems"])
    assert tribute("verify", written(tmp_path, changed)).text.startswith("DOES NOT HOLD")


def test_an_unproven_statement_does_not_hold(tmp_path: Path) -> None:
    ran = tribute("verify", written(tmp_path, statements()[0]))
    assert ran.code == 1 and "proof" in ran.text


def test_names_cannot_play_with_the_terminal(tmp_path: Path) -> None:
    changed = dict(PROVEN[0]) | {"extra\x1b[2K\u202e": 1}
    ran = tribute("verify", written(tmp_path, changed))
    assert ran.code == 1 and not set(ran.text) & {"\x1b", "\u202e"}


def test_many_findings_are_counted(tmp_path: Path) -> None:
    changed = json.loads(canonical_json(BUNDLE))
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
def test_what_is_no_statement_cannot_be_read(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "sent.json"
    if content is not None:
        path.write_bytes(content)
    ran = tribute("verify", path)
    assert ran.code == 2 and message in ran.text


def test_what_is_no_key_is_refused(tmp_path: Path) -> None:
    ran = tribute("verify", written(tmp_path, PROVEN[0]), "--key", "abc")
    assert ran.code == 2 and "64 hexadecimal digits" in ran.text


def test_it_works_far_from_any_project_and_without_the_platform(tmp_path: Path) -> None:
    code = (
        "import sys; from tribute_jobs.commands.prove import app; "
        "app(['verify', 'sent.json'], standalone_mode=False); "
        "sys.exit(sorted({'torch', 'ray', 'mlflow', 'scipy'} & sys.modules.keys()) or 0)"
    )
    written(tmp_path, PROVEN[0])
    ended = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "") and "HOLDS" in ended.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["sent.json"]
