"""Closes a month from a page: the work of `tribute close`, in a thread, unless something has to run before."""

import logging
import threading
from collections.abc import Mapping, Sequence

from tribute.config import Project
from tribute.errors import MoneyError, TributeError
from tribute_jobs.pipeline import run
from tribute_jobs.service.views.period import closing_refusal
from tribute_jobs.service.views.settled import State, newest_statements
from tribute_storage import LakeError

PATIENCE_S = 20.0
"""How long a page waits for the end; later it says that the work goes on."""
_CLOSING = ("check", "value", "close")
"""Stages that a closing goes through if nothing changed since the month was settled."""
_log = logging.getLogger(__name__)


class Closings:
    """The closings that this process began. Another process finds the lock of the working folder."""

    def __init__(self, project: Project) -> None:
        self._project, self._lock = project, threading.Lock()
        self._threads: dict[str, threading.Thread] = {}
        self._problems: dict[str, tuple[int, str]] = {}

    def begin(self, period: str, version: int) -> None:
        """Begin to close a month, or to complete a closing that was interrupted, and wait a while for the end.

        Args:
            version: the draft that somebody reviewed, or the final version that is not signed.

        Raises:
            MoneyError: it is not the newest version any more, or the month cannot be closed.
        """
        with self._lock:
            if self.at_work(period):
                raise MoneyError(f"{period} is being closed already. Load its page again in a moment")
            state = self._require_reviewed(period, version)
            self._problems.pop(period, None)
            about = (period, version, state)
            thread = threading.Thread(target=self._close, args=about, daemon=True, name=f"close-{period}")
            self._threads[period] = thread
            thread.start()
        thread.join(PATIENCE_S)

    def at_work(self, period: str) -> bool:
        """Whether a month is being closed."""
        thread = self._threads.get(period)
        return thread is not None and thread.is_alive()

    def problem(self, period: str, version: int | None) -> str | None:
        """Why the last closing of a version failed; None: it did not, or is at work, or is of another process."""
        of, problem = self._problems.get(period, (None, None))
        return problem if of == version else None

    def _require_reviewed(self, period: str, version: int) -> State:
        newest = newest_statements(self._project, period, None)
        if refusal := closing_refusal(self._project, period, newest.state):
            raise MoneyError(refusal)
        if newest.version != version:
            raise MoneyError(
                f"You reviewed version {version} of {period}, and version {newest.version} was settled since. "
                "Review it"
            )
        return newest.state

    def _close(self, period: str, version: int, state: State) -> None:
        try:
            # A copy is named anew by what its files hold now; the service's own project remembers how they were.
            run(self._project.model_copy(), period, _OnlyClosing(period, state), last="close")
        except (TributeError, LakeError) as error:
            self._problems[period] = version, str(error)
        except Exception:
            _log.exception("Closing %s failed", period)
            problem = f"Closing {period} failed. The log of the service says why. Finished work is kept"
            self._problems[period] = version, problem


class _OnlyClosing:
    """Hears of every stage, and stops a run that would train or measure: that is no work for a page."""

    def __init__(self, period: str, state: State) -> None:
        self._period = period
        again = (
            "Complete it: tribute close" if state == "half_closed" else "Settle it again and review: tribute run"
        )
        self._remedy = f"{again} PROJECT.yaml --period {period}"

    def started(self, stage: str, run_id: str) -> None:
        """Refuse every stage that a closing does not need."""
        del run_id
        if stage not in _CLOSING:
            raise MoneyError(
                f"{self._period} cannot be closed here: stage {stage} would run anew, so something changed since "
                f"it was settled. {self._remedy}"
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
