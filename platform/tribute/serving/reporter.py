"""Reports of a period, by the same function as the stage `value`."""

from typing import Any

from tribute.catalog import attribution, period_queries, valuation_record, valuation_report, value_period
from tribute.config import Project
from tribute.royalty.exact.calendar import period_days
from tribute.tracking import track
from tribute_storage import Lake


class PeriodReporter:
    """Values periods. Independent of HTTP and Ray."""

    def __init__(self, project: Project) -> None:
        self._project, self._lake = project, Lake(project.lake_root)

    def report(self, period: str) -> dict[str, Any]:
        """Value all queries attributed in the period, by the batch and by the service, and track the valuation.

        Raises:
            TributeError: the period cannot be valued.
        """
        period_days(period)
        batch = attribution(self._project, period_queries(self._project, period), period).run_id
        valuation = value_period(self._lake, self._project, period, batch)
        problem = track(self._project, valuation_record(self._project, valuation))
        return valuation_report(valuation) | {"tracking_problem": problem}
