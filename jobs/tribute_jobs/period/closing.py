"""Closes a period and restates a closed one: final statements, ledger, signed bundle."""

from collections.abc import Sequence

from tribute.catalog import Valuation, read_valuation
from tribute.errors import MoneyError
from tribute.royalty.account import owed
from tribute.royalty.document import Statement
from tribute.royalty.exact import month_after
from tribute_jobs.context import Context
from tribute_jobs.period.ledger import post
from tribute_jobs.period.proof import bundle_run, prove
from tribute_jobs.period.review import require_reviewed
from tribute_jobs.period.sequence import require_order
from tribute_jobs.period.settlement import commit, settlement
from tribute_jobs.period.statements import Period, Reasoned, Version

Key = tuple[str, str]


def close(context: Context, period: Period, value_run: str) -> Version:
    """Make the reviewed draft of a period final: issue it as the next version, post it, sign the bundle.

    Only version, ids and status differ from the draft. After an interruption, the same call completes what is
    missing and changes nothing else.

    Args:
        period: settled.
        value_run: the valuation that settling the period now would rest on.

    Raises:
        MoneyError: it is not the month's turn (`require_order`), or its inputs changed since it was settled.
        LakeConflict: another folder on this lake closed a month, or settled this one, meanwhile.
    """
    if not period.closed:
        require_order(period.project, period.month, "close")  # another folder may have closed a month meanwhile
        settled = settlement(period, _valuation(context, period, value_run), final=True)
        require_reviewed(period.statements, settled.version.statements)
        commit(context.lake, settled, period.basis)
        period = period.with_version(settled.version)
    _complete(context, period)
    return period.own_final_versions[-1]


def restate(context: Context, period: Period, value_run: str, reason: str) -> Version:
    """Issue a closed period again as its next version; the difference is an adjustment of the next settled period.

    After an interruption, the same call completes the version that was begun. Once more, it changes nothing.

    Raises:
        MoneyError: the period is not closed, nothing would change, or there is no reason.
        LakeConflict: another folder on this lake restated it, or closed a month, meanwhile.
    """
    newest = period.newest
    if newest is None or not newest.final:
        raise MoneyError(f"Period {period.month} is not closed. Settle it again instead: tribute run")
    if not reason.strip():
        raise MoneyError("A restatement has no reason. Say why, for the publishers to read: --reason")
    interrupted = not context.lake.committed("bundles", bundle_run(period.project, newest))
    restated = len(period.own_final_versions) > 1
    _complete(context, period)
    settled = settlement(period, _valuation(context, period, value_run), final=True, reason=reason)
    again = settled.version.number == newest.number
    if restated and again and (interrupted or newest.reason == reason):
        return settled.version
    if again or not moves(period.final_statements(), period.statements, settled.version):
        raise MoneyError(
            f"Restating {period.month} would change no amount of version {newest.number}, nor what is owed. "
            "Correct the settings first, such as the rights, the usage, the pool or a guarantee"
        )
    commit(context.lake, settled, period.basis)
    prove(context, settled.version)
    return settled.version


def _valuation(context: Context, period: Period, value_run: str) -> Valuation:
    return Valuation(value_run, period.month, read_valuation(context.lake, value_run), False)


def _complete(context: Context, period: Period) -> None:
    """Post the version that closed the period and sign every final version, where that is not done."""
    closing, *restated = period.own_final_versions
    run_id = f"post-{period.project.name}-{period.month}"
    post(context.lake, period.project, run_id, closing.statements)
    for version in (closing, *restated):
        prove(context, version)


def moves(final: Sequence[Reasoned], newest: Sequence[Statement], settled: Version) -> bool:
    """Whether a restatement changes an allocated amount of its period, or an adjustment of later months.

    Args:
        final: every final statement with the reason of its version.
        newest: the version of the period that would be restated.
    """
    after = [*final, *((each, settled.reason) for each in settled.statements)]
    return _allocated(newest) != _allocated(settled.statements) or _carried(final) != _carried(after)


def _allocated(statements: Sequence[Statement]) -> dict[Key, int]:
    return {s.key: s.amount_minor for s in statements if s.amount_minor}


def _carried(final: Sequence[Reasoned]) -> dict[Key, int]:
    following = month_after(max(each.period for each, _ in final))
    sums = {key: sum(each.amount_minor for each in moved) for key, moved in owed(final, following).items()}
    return {key: minor for key, minor in sums.items() if minor}
