"""Whether the statements of a period foot: lines to statement, statements to pool."""

from collections.abc import Mapping, Sequence
from typing import Any

from tribute.errors import MoneyError
from tribute.royalty.money import Money


def check_period(statements: Sequence[Mapping[str, Any]]) -> Money:
    """The pool of a period, after checking that its statements are of one settlement and pay exactly the pool.

    Raises:
        MoneyError: no statement, statements of different settlements, lines that do not sum to their
            statement, or statements that do not sum to the pool.
    """
    settlements = sorted(
        {(s["period"], s["value_run"], s["currency"], s["pool"]["pool_amount_minor"]) for s in statements}
    )
    if len(settlements) != 1:
        raise MoneyError(
            f"A period report needs the statements of one settlement, got {settlements}. Pass its own"
        )
    for statement in statements:
        on_lines = sum(line["amount_minor"] for line in statement["lines"])
        if on_lines != statement["amount_minor"]:
            raise MoneyError(
                f"Lines of {statement['statement_id']} sum to {on_lines}, the statement says "
                f"{statement['amount_minor']}. Settle the period again: tribute settle"
            )
    period, _, currency, pool = settlements[0]
    paid = sum(statement["amount_minor"] for statement in statements)
    if paid != pool:
        raise MoneyError(
            f"Statements of {period} sum to {Money(paid, currency).text()}, the pool is "
            f"{Money(pool, currency).text()}. Pass all statements of the period, each once"
        )
    return Money(pool, currency)
