"""The result of a verification: what the file says and who signed it, or every problem."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tribute.errors import ProofError
from tribute.royalty.document import Bundle, PolicyRecord, Statement
from tribute.royalty.exact.money import Money
from tribute.royalty.exact.text import printable
from tribute.royalty.proof.findings import Problem
from tribute.royalty.proof.parser import parse
from tribute.royalty.proof.verify import check_bundle, check_statement


@dataclass(frozen=True)
class Verdict:
    """The result of verifying a file."""

    file: str
    kind: Literal["statement", "bundle"]
    document: Statement | Bundle | None
    """None if the bytes are not canonical JSON of the schema."""
    sha256: str
    """Hash of the file."""
    problems: Sequence[Problem]
    known_key: bool
    """Whether the reader gave the payer's key."""
    compared: bool = False
    """Whether the file holds by itself and was compared with the project that issued it."""

    @property
    def facts(self) -> dict[str, str]:
        """What the document says, by name; empty if it does not hold."""
        if self.document is None or self.problems:
            return {}
        return _of_bundle(self.document) if isinstance(self.document, Bundle) else _of_statement(self.document)

    @property
    def unsigned_draft(self) -> bool:
        """Whether the file is the statement of an open period."""
        document = self.document
        return isinstance(document, Statement) and document.status == "draft" and document.proof is None

    def as_json(self) -> str:
        """The verdict as an indented JSON object."""
        content: dict[str, Any] = {name: getattr(self, name) for name in ("file", "kind", "facts", "known_key")}
        content |= {"compared": self.compared, "problems": [each._asdict() for each in self.problems]}
        return json.dumps(content | {"holds": not self.problems}, indent=2, ensure_ascii=False)

    def as_text(self, max_problems: int = 30) -> str:
        """The verdict for a terminal: what holds and who signed it, or the first problems with their places."""
        lines = self._problem_lines(max_problems) if self.problems else self._fact_lines()
        return "\n".join(printable(line) for line in lines)

    def _fact_lines(self) -> list[str]:
        trust = (
            "This is the key that you gave."
            if self.known_key
            else "Anybody can sign with a key of their own: compare this key with the one that the payer has "
            "published, or pass the published key with --key."
        )
        compared = " The project still holds everything that it rests on." if self.compared else ""
        headline = f"HOLDS: this {self.kind} is what was signed, and it adds up.{compared}"
        return [headline, *(f"  {name.replace('_', ' '):<14}{fact}" for name, fact in self.facts.items()), trust]

    def _problem_lines(self, max_problems: int) -> list[str]:
        problems = self.problems
        if self.unsigned_draft:
            problems = [each for each in problems if each.place not in ("status", "proof")]
        count = len(problems)
        rest = [f"  and {count - max_problems} more; --json lists all"] if count > max_problems else []
        found = [f"  {place}: {message}" for place, message in problems[:max_problems]]
        return [self._headline(adds_up=not problems), *found, *rest]

    def _headline(self, *, adds_up: bool) -> str:
        if self.compared:
            return (
                f"DIFFERS: this {self.kind} is what was signed, but the project no longer holds what it rests on."
            )
        if not self.unsigned_draft:
            return f"DOES NOT HOLD: this {self.kind} is not what was signed, or does not add up."
        if not adds_up:
            return "DOES NOT HOLD: this statement is an unsigned draft, and it does not add up."
        return (
            "NOT SIGNED: this statement is a draft of an open period. It adds up, but its amounts can still "
            "change. Verify the final statement, which the payer signs when the period is closed."
        )


def verdict(file: Path, key: str | None = None, max_bytes: int = 2**28) -> Verdict:
    """Verify a statement or a bundle.

    Args:
        key: the payer's public key, 64 hexadecimal digits. If given, it must have signed.
        max_bytes: a longer file is refused.

    Raises:
        ProofError: the file cannot be read, is too long, or is neither a statement nor a bundle; or the key is not
            a public key.
    """
    public_key = None if key is None else _key(key)
    content = _content(file, max_bytes)
    is_bundle = _is_bundle(file, content)
    document: Statement | Bundle | list[Problem]
    document = parse(content, Bundle, max_bytes) if is_bundle else parse(content, Statement, max_bytes)
    if isinstance(document, list):
        problems = document
    elif isinstance(document, Bundle):
        problems = check_bundle(document, public_key)
    else:
        problems = check_statement(document, public_key)
    return Verdict(
        str(file),
        "bundle" if is_bundle else "statement",
        None if isinstance(document, list) else document,
        hashlib.sha256(content).hexdigest(),
        problems,
        key is not None,
    )


def _of_statement(statement: Statement) -> dict[str, str]:
    return {
        "publisher": f"{statement.publisher_name} ({statement.publisher_id})",
        "statement": f"{statement.statement_id}, {_version(statement)}",
        "period": f"{statement.period_start} to {statement.period_end}, model {statement.model_id}",
        "paid": Money(statement.balance.amount_paid_minor, statement.currency).text(),
        "allocated": statement.amount,
        "policy": _policy(statement.policy),
        "signed_by": statement.proof.public_key if statement.proof else "",
    }


def _of_bundle(bundle: Bundle) -> dict[str, str]:
    paid: dict[str, int] = defaultdict(int)
    for statement in bundle.statements:
        paid[statement.currency] += statement.balance.amount_paid_minor
    publishers = {statement.publisher_id for statement in bundle.statements}
    rows = sum(each.rows for each in bundle.inputs)
    return {
        "statements": f"{len(bundle.statements)}, of {len(publishers)} publishers",
        "version": " and ".join(sorted({_version(each) for each in bundle.statements})),
        "period": f"{bundle.period}, model {bundle.model_id}",
        "paid": " + ".join(Money(minor, currency).text() for currency, minor in sorted(paid.items())),
        "policy": _policy(bundle.policy),
        "rests_on": f"{rows:,} rows in {len(bundle.inputs)} tables, {len(bundle.files)} files",
        "ledger": f"{bundle.ledger.entries:,} entries, the last with hash {bundle.ledger.sha256}",
        "root": bundle.root,
        "signed_by": bundle.public_key,
    }


def _version(statement: Statement) -> str:
    restates = statement.restates_statement_version
    version = f"version {statement.statement_version}"
    return version if restates is None else f"{version}, which restates version {restates} and pays nothing"


def _policy(policy: PolicyRecord) -> str:
    return f"{policy.name} version {policy.version}, sha256 {policy.sha256}"


def _content(file: Path, max_bytes: int) -> bytes:
    try:
        with file.open("rb") as opened:
            content = opened.read(max_bytes + 1)
    except OSError as error:
        raise ProofError(f"{file} cannot be read: {error.strerror}. Correct the path") from None
    if len(content) > max_bytes:
        raise ProofError(f"{file} has more than {max_bytes:,} bytes. Give a statement or a bundle")
    return content


def _is_bundle(file: Path, content: bytes) -> bool:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ProofError(f"{file} cannot be read as JSON: {error}. Give the file as you received it") from None
    if not isinstance(document, dict) or not {"statement_id", "leaves", "schema"} & document.keys():
        raise ProofError(
            f"{file} is neither a statement nor a bundle of tribute. Give the file as you received it"
        )
    return "leaves" in document or str(document.get("schema")).startswith("tribute.bundle")


def _key(written: str) -> str:
    key = written.strip().lower()
    if len(key) != 64 or set(key) - set("0123456789abcdef"):
        raise ProofError(f"--key {written[:80]!r} is not a public key: 64 hexadecimal digits. Copy all of it")
    return key
