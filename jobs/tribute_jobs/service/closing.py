"""Closes a month from a page: the work of `tribute close`, in a thread, unless something has to run before."""

import logging
import threading
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tribute.config import Project
from tribute.errors import MoneyError, TributeError
from tribute_jobs.pipeline import run
from tribute_jobs.service.views.period import closing_refusal
from tribute_jobs.service.views.settled import newest_statements
from tribute_storage import LakeError

PATIENCE_S = 20.0
"""How long a page waits for the end; later it says that the work goes on."""
_CLOSING = ("check", "value", "close")
"""Stages that a closing goes through if nothing changed since the month was settled."""
_log = logging.getLogger(__name__)


class ClosingResult(NamedTuple):
    """How a closing ended: with a problem, or with none."""

    problem: str | None = None


class Closings:
    """The closings that this process began. Another process finds the lock of the working folder."""

    def __init__(self, project: Project) -> None:
        self._project, self._lock = project, threading.Lock()
        self._threads: dict[str, threading.Thread] = {}
        self._results: dict[str, ClosingResult] = {}

    def begin(self, period: str, version: int) -> None:
        """Begin to close a month, and wait a while for the end.

        Args:
            version: the draft that somebody reviewed.

        Raises:
            MoneyError: it is not the newest version any more, or the month cannot be closed.
        """
        with self._lock:
            if self.at_work(period):
                raise MoneyError(f"{period} is being closed already. Load its page again in a moment")
            self._require_reviewed(period, version)
            self._results.pop(period, None)
            thread = threading.Thread(target=self._close, args=(period,), daemon=True, name=f"close-{period}")
            self._threads[period] = thread
            thread.start()
        thread.join(PATIENCE_S)

    def at_work(self, period: str) -> bool:
        """Whether a month is being closed."""
        thread = self._threads.get(period)
        return thread is not None and thread.is_alive()

    def result(self, period: str) -> ClosingResult | None:
        """How the last closing of a month ended; None: this process began none, or it is at work."""
        return self._results.get(period)

    def _require_reviewed(self, period: str, version: int) -> None:
        if refusal := closing_refusal(self._project, period):
            raise MoneyError(refusal)
        newest = newest_statements(self._project, period, None).statements[0].statement_version
        if newest != version:
            raise MoneyError(
                f"You reviewed version {version} of {period}, and version {newest} was settled since. Review it"
            )

    def _close(self, period: str) -> None:
        try:
            # A copy is named anew by what its files hold now; the service's own project remembers how they were.
            run(self._project.model_copy(), period, _OnlyClosing(period), last="close")
        except (TributeError, LakeError) as error:
            self._results[period] = ClosingResult(str(error))
        except Exception:
            _log.exception("Closing %s failed", period)
            problem = f"Closing {period} failed. The log of the service says why. Finished work is kept"
            self._results[period] = ClosingResult(problem)
        else:
            self._results[period] = ClosingResult()


class _OnlyClosing:
    """Hears of every stage, and stops a run that would train or measure: that is no work for a page."""

    def __init__(self, period: str) -> None:
        self._period = period

    def started(self, stage: str, run_id: str) -> None:
        """Refuse every stage that a closing does not need."""
        del run_id
        if stage not in _CLOSING:
            raise MoneyError(
                f"{self._period} cannot be closed here: stage {stage} would run anew, so something changed since "
                f"it was settled. Settle it again and review: tribute run PROJECT.yaml --period {self._period}"
            )

    def planned(self, kept: Sequence[str], again: Mapping[str, str]) -> None:
        """Nothing."""

    def working(self, part: str) -> None:
        """Nothing."""

    def advanced(self, done: float, total: int) -> None:
        """Nothing."""

    def finished(self, stage: str, run_id: str, new: bool, summary: str) -> None:
        """Nothing."""

    def warned(self, message: str) -> None:
        """Log it."""
        _log.warning("Closing %s: %s", self._period, message)

    def close(self) -> None:
        """Nothing."""
