"""`tribute verify`: a statement or a bundle checked offline, by whoever received it."""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tribute.errors import ProofError
from tribute.royalty import Money, Problem, verify_bundle, verify_statement
from tribute_jobs.money.printing import printable

SHOWN = 30
Document = dict[str, Any]


@dataclass(frozen=True)
class Verdict:
    """What a file is, what it says if it holds, and what is wrong with it otherwise."""

    file: str
    kind: str
    facts: dict[str, Any]
    problems: Sequence[Problem]
    known_key: bool
    """Whether the reader knew the payer's key, and it is the one that signed."""


def verdict(file: Path, key: str | None) -> Verdict:
    """Check a statement or a bundle.

    Args:
        key: the payer's public key, which must then have signed.

    Raises:
        ProofError: the file is neither a statement nor a bundle, or the key is no key.
    """
    public_key = None if key is None else _key(key)
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ProofError(f"{file} cannot be read: {error.strerror}. Correct the path") from None
    document = _document(file, content)
    bundle = "leaves" in document or str(document.get("schema")).startswith("tribute.bundle")
    problems = (verify_bundle if bundle else verify_statement)(content, public_key)
    facts = {} if problems else (_of_bundle if bundle else _of_statement)(document)
    return Verdict(str(file), "bundle" if bundle else "statement", facts, problems, key is not None)


def print_verdict(found: Verdict, as_json: bool) -> None:
    """What holds and who signed it, or every finding with its place."""
    if as_json:
        content = asdict(found) | {"problems": [each._asdict() for each in found.problems]}
        print(json.dumps(content | {"holds": not found.problems}, indent=2, ensure_ascii=False))
        return
    lines = _broken(found) if found.problems else _whole(found)
    print("\n".join(printable(line) for line in lines))


def _whole(found: Verdict) -> list[str]:
    said = [f"  {name.replace('_', ' '):<14}{value}" for name, value in found.facts.items()]
    trust = (
        "It is the key that you gave."
        if found.known_key
        else "Anybody can sign with a key of their own: compare it with the one that the payer has published, or "
        "give that as --key."
    )
    return [f"HOLDS: this {found.kind} is what was signed, and it adds up.", *said, trust]


def _broken(found: Verdict) -> list[str]:
    count = len(found.problems)
    rest = [f"  and {count - SHOWN} more; --json lists all"] if count > SHOWN else []
    headline = f"DOES NOT HOLD: this {found.kind} is not what was signed, or does not add up."
    return [headline, *(f"  {each.place}: {each.text}" for each in found.problems[:SHOWN]), *rest]


def _of_statement(statement: Document) -> dict[str, Any]:
    currency = statement["currency"]
    return {
        "publisher": f"{statement['publisher_name']} ({statement['publisher_id']})",
        "statement": f"{statement['statement_id']}, version {statement['statement_version']}",
        "period": f"{statement['period_start']} to {statement['period_end']}, model {statement['model_id']}",
        "paid": Money(statement["balance"]["amount_paid_minor"], currency).text(),
        "allocated": statement["amount"],
        "policy": _policy(statement),
        "signed_by": statement["proof"]["public_key"],
    }


def _of_bundle(bundle: Document) -> dict[str, Any]:
    paid: dict[str, int] = defaultdict(int)
    for statement in bundle["statements"]:
        paid[statement["currency"]] += statement["balance"]["amount_paid_minor"]
    return {
        "statements": f"{len(bundle['statements'])}, of {len(_publishers(bundle))} publishers",
        "period": f"{bundle['period']}, model {bundle['model_id']}",
        "paid": " + ".join(Money(minor, currency).text() for currency, minor in sorted(paid.items())),
        "policy": _policy(bundle),
        "root": bundle["root"],
        "signed_by": bundle["public_key"],
    }


def _policy(document: Document) -> str:
    policy = document["policy"]
    return f"{policy['name']} version {policy['version']}, sha256 {policy['sha256']}"


def _publishers(bundle: Document) -> set[str]:
    return {statement["publisher_id"] for statement in bundle["statements"]}


def _document(file: Path, content: bytes) -> Document:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ProofError(f"{file} cannot be read as JSON: {error}. Give the file as it was sent") from None
    if not isinstance(document, dict) or not {"statement_id", "leaves", "schema"} & document.keys():
        raise ProofError(f"{file} is neither a statement nor a bundle of tribute. Give the file as it was sent")
    return document


def _key(written: str) -> str:
    key = written.strip().lower()
    if len(key) != 64 or set(key) - set("0123456789abcdef"):
        raise ProofError(f"--key {written[:80]!r} is not a public key: 64 hexadecimal digits. Copy all of it")
    return key
