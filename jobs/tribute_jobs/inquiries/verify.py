"""`tribute verify`: a statement or a bundle checked offline by its receiver, a bundle also against its project."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tribute.config import Project
from tribute.errors import ProofError
from tribute.royalty.exact import Money
from tribute.royalty.proof import Problem, verify_bundle, verify_statement
from tribute_jobs.printing import printable

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
    recomputed: bool = False
    """Whether the file holds by itself and was compared with the project that issued it."""


def verdict(file: Path, key: str | None, project: Project | None = None) -> Verdict:
    """Check a statement or a bundle.

    Args:
        key: the payer's public key, which must then have signed.
        project: that issued the bundle: what it holds is hashed again, if the bundle holds by itself.

    Raises:
        ProofError: the file is neither a statement nor a bundle, the key is no key, or the project another.
    """
    public_key = None if key is None else _key(key)
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ProofError(f"{file} cannot be read: {error.strerror}. Correct the path") from None
    document = _document(file, content)
    bundle = "leaves" in document or str(document.get("schema")).startswith("tribute.bundle")
    if project is not None and not bundle:
        raise ProofError(f"{file} is a statement. Give --project with the bundle.json that lies beside it")
    problems = (verify_bundle if bundle else verify_statement)(content, public_key)
    recomputed = project is not None and not problems
    if project is not None and recomputed:
        from tribute_jobs.inquiries.audit import recheck  # noqa: PLC0415  (a receiver has no lake to open)

        problems = recheck(project, document, hashlib.sha256(content).hexdigest())
    facts = {} if problems else (_of_bundle if bundle else _of_statement)(document)
    return Verdict(str(file), "bundle" if bundle else "statement", facts, problems, key is not None, recomputed)


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
    compared = " All that it rests on is in the project as it was." if found.recomputed else ""
    return [f"HOLDS: this {found.kind} is what was signed, and it adds up.{compared}", *said, trust]


def _broken(found: Verdict) -> list[str]:
    count = len(found.problems)
    rest = [f"  and {count - SHOWN} more; --json lists all"] if count > SHOWN else []
    headline = (
        f"DIFFERS: this {found.kind} is what was signed, but the project no longer is what it rests on."
        if found.recomputed
        else f"DOES NOT HOLD: this {found.kind} is not what was signed, or does not add up."
    )
    return [headline, *(f"  {each.place}: {each.text}" for each in found.problems[:SHOWN]), *rest]


def _of_statement(statement: Document) -> dict[str, Any]:
    currency = statement["currency"]
    return {
        "publisher": f"{statement['publisher_name']} ({statement['publisher_id']})",
        "statement": f"{statement['statement_id']}, {_version(statement)}",
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
        "version": " and ".join(sorted({_version(each) for each in bundle["statements"]})),
        "period": f"{bundle['period']}, model {bundle['model_id']}",
        "paid": " + ".join(Money(minor, currency).text() for currency, minor in sorted(paid.items())),
        "policy": _policy(bundle),
        "rests_on": f"{_rows(bundle)} in {len(bundle['inputs'])} tables, {len(bundle['files'])} files",
        "ledger": f"{bundle['ledger']['entries']:,} entries, the last {bundle['ledger']['sha256']}",
        "root": bundle["root"],
        "signed_by": bundle["public_key"],
    }


def _version(statement: Document) -> str:
    """`version 2`, and which one it restates: it then pays nothing."""
    restates = statement["restates_statement_version"]
    told = f"version {statement['statement_version']}"
    return told if restates is None else f"{told}, which restates version {restates} and pays nothing"


def _rows(bundle: Document) -> str:
    return f"{sum(each['rows'] for each in bundle['inputs']):,} rows"


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
