"""What a corrected version of a period moves: differences of what was earned, as adjustments of the next."""

from collections.abc import Mapping, Sequence
from typing import Any

from tribute.errors import MoneyError
from tribute.royalty.balance import Adjustment

Statements = Sequence[Mapping[str, Any]]
Key = tuple[str, str]


def adjustments(before_statements: Statements, after_statements: Statements, reason: str) -> dict[Key, Adjustment]:
    """By publisher and currency: earned in the later version minus earned in the earlier, where that is not 0.

    An adjustment names the statement that it corrects: the earlier version's, or the later's for a publisher that
    had none.

    Raises:
        MoneyError: no reason, statements of several periods, or two of one publisher and currency.
    """
    if not reason.strip():
        raise MoneyError("A restatement has no reason. Say why, in words that the publishers will read: --reason")
    periods = sorted({statement["period"] for statement in (*before_statements, *after_statements)})
    if len(periods) > 1:
        raise MoneyError(f"A restatement corrects one period, got {', '.join(periods)}. Pass two versions of one")
    before, after = by_publisher(before_statements), by_publisher(after_statements)
    moved = {}
    for key in sorted(before.keys() | after.keys()):
        difference = _earned(after.get(key)) - _earned(before.get(key))
        if difference:
            corrected = before.get(key) or after[key]
            moved[key] = Adjustment(reason, corrected["statement_id"], difference)
    return moved


def by_publisher(statements: Statements) -> dict[Key, Mapping[str, Any]]:
    """Statements of one version of a period by publisher and currency.

    Raises:
        MoneyError: a publisher has two in one currency.
    """
    found: dict[Key, Mapping[str, Any]] = {}
    for statement in statements:
        other = found.setdefault((statement["publisher_id"], statement["currency"]), statement)
        if other is not statement:
            raise MoneyError(
                f"{other['statement_id']} and {statement['statement_id']} are of one publisher and currency. "
                "Pass one version of the period"
            )
    return found


def _earned(statement: Mapping[str, Any] | None) -> int:
    return 0 if statement is None else int(statement["balance"]["royalty_earned_minor"])
