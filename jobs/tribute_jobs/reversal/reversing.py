"""Declares a run of final statements void, where another run issued the same version: appended, never deleted."""

from collections.abc import Iterator
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from tribute.config import Project
from tribute.errors import MoneyError
from tribute.royalty.account import by_publisher
from tribute_jobs.context import locked
from tribute_jobs.reversal.doubles import DoubleFinal, FinalRun, double_finals, why_it_stands
from tribute_storage import SCHEMAS, Basis, Lake, open_tables, require_own


class Amounts(NamedTuple):
    """What a publisher is allocated by the run that stands and by the void one, in minor units."""

    publisher_id: str
    currency: str
    standing_minor: int
    void_minor: int


class Reversal(NamedTuple):
    """A run that is void, and the run of the same version that stands."""

    period: str
    version: int
    void: FinalRun
    standing: FinalRun

    @property
    def differences(self) -> list[Amounts]:
        """Publishers whose amounts differ, by id and currency."""
        return list(_differences(self.standing, self.void))


def reverse(project: Project, period: str, run_id: str, reason: str) -> Reversal:
    """Declare a run of a month's final statements void. The other run of the same version stands.

    A row of the table `reversals` is appended. The lake's `history` keeps the void statements; every view and
    command goes by those that stand. The ledger stays as it is, since what was posted stands.

    Raises:
        MoneyError: there is no reason, nothing to reverse, or the run is the one that stands; names the right one.
        LakeConflict: another process reversed a run of the month meanwhile.
    """
    if not reason.strip():
        raise MoneyError("A reversal has no reason. Say why, for the publishers to read: --reason")
    with locked(project):
        lake = Lake(project.lake_root)
        require_own(lake, project.name)
        basis = Basis(lake.version("reversals"), lambda: pc.field("period") == period)
        double = _double_of(project, period, run_id)
        standing, *rest = double.runs
        if run_id == standing.run_id:
            if standing.posted or standing.bundle_run is not None:
                raise MoneyError(
                    f"Run {run_id} stands: it {why_it_stands(double)}. Reverse the other one: tribute reverse "
                    f"PROJECT.yaml --period {period} --run {rest[0].run_id} --reason WHY. Correct what stands by "
                    "restating the month after that"
                )
            standing, *rest = (*rest, standing)
        void = next(each for each in rest if each.run_id == run_id)
        row = {
            "run_id": f"reversal-{run_id}",
            "period": period,
            "statement_version": double.version,
            "reversed_run": run_id,
            "standing_run": standing.run_id,
            "reversed_bundle": void.bundle_run,
            "reason": reason.strip(),
        }
        rows = pa.Table.from_pylist([row], SCHEMAS["reversals"])
        lake.append("reversals", str(row["run_id"]), rows, basis=basis)
    return Reversal(period, double.version, void, standing)


def reversed_because(project: Project, run_id: str) -> str | None:
    """The reason of the reversal of a run; None: it was not reversed."""
    with open_tables(project.lake_root, "reversals") as connection:
        known = connection.execute("select reason from reversals where reversed_run = $1", [run_id]).fetchone()
    return None if known is None else str(known[0])


def _double_of(project: Project, period: str, run_id: str) -> DoubleFinal:
    doubles = [each for each in double_finals(project) if each.period == period]
    found = next((each for each in doubles if run_id in {run.run_id for run in each.runs}), None)
    if found is not None:
        return found
    if doubles:
        raise MoneyError(f"No final version that was issued twice is of run {run_id}: {doubles[0].problem}")
    raise MoneyError(
        f"Every version of {period} was issued once, so there is nothing to reverse. To correct a closed month: "
        f"tribute restate PROJECT.yaml --period {period} --reason WHY"
    )


def _differences(standing: FinalRun, void: FinalRun) -> Iterator[Amounts]:
    kept, left = by_publisher(standing.statements), by_publisher(void.statements)
    for publisher, currency in sorted({*kept, *left}):
        amounts = [
            side[publisher, currency].amount_minor if (publisher, currency) in side else 0 for side in (kept, left)
        ]
        if amounts[0] != amounts[1]:
            yield Amounts(publisher, currency, *amounts)
