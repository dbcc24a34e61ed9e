"""Checks that statements add up: lines to statement, statements to pools, opening to closing balance."""

from collections import Counter
from collections.abc import Sequence

from tribute.errors import MoneyError
from tribute.royalty.document import AccountBalance, Statement
from tribute.royalty.exact.money import Money


def check_period(statements: Sequence[Statement]) -> dict[tuple[str, str], Money]:
    """The pools of a period by id and currency, after checking that its statements pay exactly these.

    Raises:
        MoneyError: no statement, statements of different settlements, a statement twice, lines that do not sum to
            their statement, an account that does not lead from opening to closing, or statements that do not sum
            to a pool.
    """
    settlements = sorted({(s.model_id, s.period, s.value_run) for s in statements})
    if len(settlements) != 1:
        raise MoneyError(
            f"A period report needs the statements of one settlement, got {settlements}. Pass its own"
        )
    _check_each_once(statements)
    for statement in statements:
        check_statement(statement)
    pools = _pools(statements)
    paid = Counter[tuple[str, str]]()
    for s in statements:
        for line in s.lines:
            paid[line.pool_id, s.currency] += line.amount_minor
    for key, pool in pools.items():
        on_lines = paid[key]
        if on_lines != pool.minor:
            raise MoneyError(
                f"Statements of {settlements[0][1]} pay {Money(on_lines, pool.currency).text()} of pool {key[0]}, "
                f"which is {pool.text()}. Pass all statements of the period, each once"
            )
    return pools


def check_statement(statement: Statement) -> None:
    """Check that one statement adds up.

    Raises:
        MoneyError: lines that do not sum to their statement, or belong to no pool of it, or an account that does
            not lead from its opening to its closing balance; one that restates a closed period moves nothing.
    """
    own = {pool.pool_id for pool in statement.pools}
    strange = sorted({str(line.pool_id) for line in statement.lines} - own)
    if strange:
        raise _wrong(statement, f"has lines of pool {strange[0]}, which it does not list")
    b = statement.balance
    due = _due(b) if statement.restates_statement_version is None else 0
    sums = {
        "lines": (sum(line.amount_minor for line in statement.lines), statement.amount_minor),
        "allocated royalty": (statement.amount_minor, b.royalty_allocated_minor),
        "account before tax": (due, b.payable_before_tax_minor),
        "closing balance": (due - b.withholding_tax_minor - b.amount_paid_minor, b.closing_balance_minor),
    }
    for name, (added, written) in sums.items():
        if added != written:
            raise _wrong(statement, f"does not add up: {name} {added}, it says {written}")


def _due(b: AccountBalance) -> int:
    return int(
        b.opening_balance_minor + b.royalty_earned_minor + b.prior_period_adjustment_minor
        - b.advance_recouped_minor + b.minimum_guarantee_shortfall_minor
        - b.reserve_held_minor + b.reserve_released_minor
    )  # fmt: skip


def _wrong(statement: Statement, problem: str) -> MoneyError:
    return MoneyError(f"Statement {statement.statement_id} {problem}. Settle the period again: tribute settle")


def _check_each_once(statements: Sequence[Statement]) -> None:
    owners = Counter(s.key for s in statements)
    twice = sorted(owner for owner, count in owners.items() if count > 1)
    if twice:
        publisher, currency = twice[0]
        raise MoneyError(
            f"Publisher {publisher} has two statements in {currency} of one period. Pass the newest version only"
        )


def _pools(statements: Sequence[Statement]) -> dict[tuple[str, str], Money]:
    pools: dict[tuple[str, str], Money] = {}
    for statement in statements:
        for pool in statement.pools:
            amount = Money(pool.pool_amount_minor, statement.currency)
            if pools.setdefault((pool.pool_id, amount.currency), amount) != amount:
                raise _wrong(statement, f"has {amount.text()} in pool {pool.pool_id}, others do not")
    return pools
