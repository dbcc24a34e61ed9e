"""Closing a period for good, and restating a closed one: final statements, ledger, signed bundle."""

from collections.abc import Sequence

from tribute.catalog import Valuation, read_valuation
from tribute.errors import MoneyError
from tribute.royalty.account import owed
from tribute.royalty.exact import month_after
from tribute_jobs.context import Context
from tribute_jobs.period.ledger import post
from tribute_jobs.period.proof import bundle_run, prove
from tribute_jobs.period.review import require_reviewed
from tribute_jobs.period.settlement import Settlement, commit, settlement
from tribute_jobs.period.statements import (
    Statement,
    final_statements,
    latest_statements,
    latest_version,
    statements_of_run,
    statements_of_version,
)

Reasoned = tuple[Statement, str | None]
Key = tuple[str, str]


def close(context: Context, period: str, value_run: str) -> list[Statement]:
    """Make the reviewed draft of a period final: issue what it says as the next version, post it, sign the bundle.

    Only version, ids and status differ from the draft. Doing it again completes what an interruption left out, and
    changes nothing else.

    Args:
        period: settled, and next in `require_order`.
        value_run: the valuation that settling the period now would rest on.

    Raises:
        MoneyError: the inputs of the period changed since it was settled.
    """
    project, lake = context.project, context.lake
    _, closed = latest_version(project, period)
    if not closed:
        valuation = Valuation(value_run, period, read_valuation(lake, value_run), False)
        settled = settlement(project, valuation, final=True)
        require_reviewed(latest_statements(project, period), settled.statements)
        commit(lake, settled)
    return _complete(context, period)


def restate(context: Context, period: str, value_run: str, reason: str) -> Settlement:
    """Issue a closed period anew as its next version; what it moves is an adjustment of the next period settled.

    After an interruption, the same again completes the version that was begun.

    Raises:
        MoneyError: the period is not closed, nothing would change, or there is no reason.
    """
    project, lake = context.project, context.lake
    newest, closed = latest_version(project, period)
    if not closed:
        raise MoneyError(f"Period {period} is not closed, so it can simply be settled again: tribute run")
    if not reason.strip():
        raise MoneyError("A restatement has no reason. Say why, in words that the publishers will read: --reason")
    interrupted = not lake.committed("bundles", bundle_run(project, period, newest))
    restated = len({s["statement_version"] for s, _ in final_statements(project) if s["period"] == period}) > 1
    _complete(context, period)
    valuation = Valuation(value_run, period, read_valuation(lake, value_run), False)
    settled = settlement(project, valuation, final=True, reason=reason)
    again = settled.statements[0]["statement_version"] == newest
    if interrupted and restated and again:
        return settled
    if again or not moves(final_statements(project), latest_statements(project, period), settled):
        raise MoneyError(
            f"Restating {period} would change no amount of version {newest}, and nothing that is owed. Correct "
            "the settings first, such as the rights, the usage, the pool or a guarantee"
        )
    commit(lake, settled)
    prove(context, statements_of_run(project, settled.run_id))
    return settled


def _complete(context: Context, period: str) -> list[Statement]:
    """Post the version that closed the period and sign every final one, where that is not done; the newest one."""
    project = context.project
    final = [statement for statement, _ in final_statements(project) if statement["period"] == period]
    closing, *restated = sorted({statement["statement_version"] for statement in final})
    statements = statements_of_version(project, period, closing)
    post(context.lake, project, f"post-{project.name}-{period}", statements)
    proven = prove(context, statements)
    for later in restated:
        proven = prove(context, statements_of_version(project, period, later))
    return proven


def moves(final: Sequence[Reasoned], newest: Sequence[Statement], settled: Settlement) -> bool:
    """Whether a restatement changes what anybody was allocated in its period, or what months to come carry.

    Args:
        final: every final statement with the reason of its version.
        newest: the version of the period that would be restated.
    """
    after = [*final, *((each, settled.reason) for each in settled.statements)]
    return _allocated(newest) != _allocated(settled.statements) or _carried(final) != _carried(after)


def _allocated(statements: Sequence[Statement]) -> dict[Key, int]:
    return {(s["publisher_id"], s["currency"]): s["amount_minor"] for s in statements if s["amount_minor"]}


def _carried(final: Sequence[Reasoned]) -> dict[Key, int]:
    following = month_after(max(each["period"] for each, _ in final))
    sums = {key: sum(each.amount_minor for each in moved) for key, moved in owed(final, following).items()}
    return {key: minor for key, minor in sums.items() if minor}
