"""Compares a reviewed draft with a settlement of the same month today, and names the inputs that changed."""

from collections.abc import Collection, Sequence
from typing import Any

from tribute.errors import MoneyError
from tribute.royalty.account import Agreement
from tribute.royalty.document import AgreementTerms, ExactModel, Statement
from tribute.royalty.exact import canonical_json
from tribute_jobs.period.settlement import content

VALUED = ("simulate_run", "train_run", "usage_count", "shrinkage")
"""Fields that differ if the values differ, but not if only the rights do; rights change `value_run` too."""
OF_POOL = ("pool_id", "gross_revenue_minor", "deductions", "royalty_rate")
OF_LINE = ("source_id", "split", "title", "license", "terms")
NO_ACCOUNT: tuple[Any, ...] = (0, 0, 0, 0, ())
"""Opening of a statement if earlier months left nothing, and of a missing statement."""
NO_TERMS = (Agreement("any", "EUR").terms(), 0)
"""Agreement and advance granted of a statement without an agreement, and of a missing statement."""


def require_reviewed(draft: Sequence[Statement], today: Sequence[Statement]) -> None:
    """Refuse to close a draft that settling today would not give: nobody has reviewed the new result.

    Args:
        draft: the newest version of a period.
        today: the result of settling it now, draft or final.

    Raises:
        MoneyError: they differ in more than version and status; names the inputs that changed.
    """
    period, version, status = draft[0].period, draft[0].statement_version, draft[0].status
    if content(draft) == content([each.model_copy(update={"status": status}) for each in today]):
        return
    raise MoneyError(
        f"Settling {period} today would not give its draft, version {version}: since then, "
        f"{' and '.join(changed_inputs(draft, today))} changed. Settle again and review, then close: tribute "
        f"settle PROJECT.yaml --period {period}, and tribute diff PROJECT.yaml {period}:v{version} {period}"
    )


def changed_inputs(before: Sequence[Statement], after: Sequence[Statement]) -> list[str]:
    """The inputs in which two versions of a period differ, in words."""
    old, new = _inputs(before, after), _inputs(after, before)
    found = [what for what in old if old[what] != new[what]]
    if before[0].value_run != after[0].value_run and not {"the rights", "the values"} & set(found):
        found.append("the values")
    was, now = ({each.key: each for each in side} for side in (before, after))
    keys, both = was.keys() | now.keys(), {publisher for publisher, _ in was} & {publisher for publisher, _ in now}
    pooled = {key for key in was.keys() ^ now.keys() if key[0] in both and (was.get(key) or now[key]).pools}
    if any(_terms(was.get(key)) != _terms(now.get(key)) for key in keys - pooled):
        found.append("the agreements")
    if any(_opening(was.get(key)) != _opening(now.get(key)) for key in keys):
        found.append("the accounts that earlier months left")
    policy = after[0].policy
    by_customer = "user_centric" in (policy.basis, *policy.blend)
    return found or ["the fees of customers" if by_customer else "what this version of tribute writes"]


def _inputs(statements: Sequence[Statement], others: Sequence[Statement]) -> dict[str, set[Any]]:
    """Each input as the statements of a period show it, over all publishers."""
    return {
        "the policy": {each.policy.sha256 for each in statements},
        "the pools": {_picked(pool, OF_POOL) for each in statements for pool in each.pools},
        "the rights": _rights(statements, {each.publisher_id for each in others}),
        "the values": {_picked(each, VALUED) for each in statements if each.lines},
        "the quality certificate": {_picked(each, ("quality_certificate",)) for each in statements},
    }


def _rights(statements: Sequence[Statement], elsewhere: set[str]) -> set[Any]:
    """Lines and names of publishers, without names that only an account or an agreement brings in."""
    brought_in = {
        each.publisher_id for each in statements if (_terms(each), _opening(each)) != (NO_TERMS, NO_ACCOUNT)
    }
    names = {(each.publisher_id, each.publisher_name) for each in statements}
    lines = {
        (each.publisher_id, _picked(line, OF_LINE)) for each in statements for line in each.lines if line.source_id
    }
    return lines | {(publisher, name) for publisher, name in names if publisher not in brought_in - elsewhere}


def _terms(statement: Statement | None) -> tuple[AgreementTerms, int]:
    """The agreement of a statement, and the advance it grants."""
    if statement is None:
        return NO_TERMS
    return statement.agreement, statement.balance.advance_granted_minor


def _opening(statement: Statement | None) -> tuple[Any, ...]:
    """The opening of a statement: balance, advances, reserves and earnings so far in minor units, adjustments."""
    if statement is None:
        return NO_ACCOUNT
    balance, adjustments = statement.balance, statement.balance.adjustments
    recouped = balance.advance_recouped_minor - balance.advance_granted_minor
    left = sum(minor for _, minor in balance.account.reserves)
    own = balance.royalty_earned_minor + sum(each.amount_minor for each in adjustments if each.running)
    return (
        balance.opening_balance_minor,
        balance.unrecouped_advance_minor + recouped,
        left - balance.reserve_held_minor + balance.reserve_released_minor,
        balance.accounting_period_earned_minor - own,
        adjustments,
    )


def _picked(record: ExactModel, names: Collection[str]) -> bytes:
    return canonical_json(record.model_dump(mode="json", include=set(names)))
