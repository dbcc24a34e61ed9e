"""What else changed between two periods: policy, basis, model, quality, publishers; a sentence each."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from tribute.royalty.exact.text import plain

Statement = Mapping[str, Any]


def notes(before: Sequence[Statement], after: Sequence[Statement]) -> tuple[str, ...]:
    """The changes in words, in a fixed order; both sides hold a statement or more."""
    return tuple(_notes(before, after))


def _notes(before: Sequence[Statement], after: Sequence[Statement]) -> Iterator[str]:
    old, new = before[0], after[0]
    if old["policy"]["sha256"] != new["policy"]["sha256"]:
        yield f"Policy: {_policy(old)} before, {_policy(new)} after."
    bases = [
        ", ".join(sorted({p["allocation_basis"] for s in side for p in s["pools"]})) for side in (before, after)
    ]
    if bases[0] != bases[1]:
        yield f"Basis paid: {bases[0]} before, {bases[1]} after."
    for what, field in (("Model", "model_id"), ("Training run", "train_run"), ("Shrinkage", "shrinkage")):
        if old.get(field) != new.get(field):
            yield f"{what}: {old.get(field)} before, {new.get(field)} after."
    if old["quality_certificate"] != new["quality_certificate"]:
        certificates = [_quality(side["quality_certificate"]) for side in (old, new)]
        yield f"Quality: {certificates[0]} before, {certificates[1]} after."
    names = [{statement["publisher_id"] for statement in side} for side in (before, after)]
    for what, some in (("New", names[1] - names[0]), ("Gone", names[0] - names[1])):
        if some:
            yield f"{what} publishers: {', '.join(sorted(some))}."


def _policy(statement: Statement) -> str:
    policy = statement["policy"]
    return f"{policy['name']} version {policy['version']} ({policy['sha256'][:12]})"


def _quality(certificate: Mapping[str, str] | None) -> str:
    if certificate is None:
        return "no certificate"
    wrong = plain(100 * Decimal(certificate["misallocated_pool"]))
    return f"{certificate['certificate_id']} ({wrong}% of the pool goes to another payee)"
