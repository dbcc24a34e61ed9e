"""Brings the uses of an outbox to the lake, batch by batch."""

import logging
import threading
from functools import lru_cache
from typing import NamedTuple

from tribute.catalog import (
    RecordedUses,
    RecordedWith,
    corpus_tokens,
    lineage,
    record_uses,
    recorded_trainings,
    simulated_responses,
)
from tribute.config import Project
from tribute.errors import TributeError
from tribute.readout import SourceHead
from tribute.serving.heads import Heads, served_design
from tribute.serving.writing.upkeep import keep_small_files_few
from tribute_storage import Lake, LakeError
from tribute_storage.outbox import Outbox, Sealed

BATCH_BYTES = 2**26
"""Most bytes of uses that one batch of the lake is made from, so that its rows fit the memory."""
_log = logging.getLogger(__name__)


class WriterState(NamedTuple):
    """An outbox in figures.

    Attributes:
        waiting: uses that are not in the lake yet.
        unread: of these, uses that are still to be read out exactly.
        newest: number of the newest chunk of uses; `oldest_unread`: of the first one that holds such a use.
        flushed: uses brought to the lake since the start.
        flushes: batches brought to the lake since the start.
        failure: why the last batch did not get through; empty: it did.
        conflicting: ids that another service had recorded with other content, since the start.
    """

    waiting: int
    unread: int
    flushed: int
    flushes: int
    failure: str
    conflicting: int
    newest: int = 0
    oldest_unread: int | None = None


class _Done(NamedTuple):
    """What became of uses since the start, in numbers."""

    new: int = 0
    repeated: int = 0
    conflicting: int = 0

    def plus(self, found: RecordedUses) -> "_Done":
        return _Done(
            self.new + found.new, self.repeated + found.repeated, self.conflicting + len(found.conflicting)
        )


class Flusher:
    """Brings uses to the lake. Threads take turns: a flush whose caller left goes on, and the next one waits."""

    def __init__(self, project: Project, lake: Lake, outbox: Outbox) -> None:
        self._project, self._lake, self._outbox = project, lake, outbox
        self._recording, self._lock = _recording(project), threading.Lock()
        self._done, self._flushes, self._failure = _Done(), 0, ""

    def flush(self) -> int:
        """See `Writer.flush`."""
        with self._lock:
            try:
                before, until = self._done.new, self._outbox.batches.newest()
                while sealed := self._outbox.batches.seal(self._project.serving.flush_uses, BATCH_BYTES, until):
                    self._bring(sealed)
                self._outbox.forget()
                self._failure = ""
            except (TributeError, LakeError) as error:
                self._failure = str(error)
                raise
            except Exception:
                self._failure = "a flush failed; the log of the service says why"
                raise
            return self._done.new - before

    def _bring(self, sealed: Sealed) -> None:
        found = record_uses(self._lake, self._project, self._recording, sealed.uses)
        self._outbox.batches.finish(sealed.number)
        self._done, self._flushes = self._done.plus(found), self._flushes + 1
        if found.conflicting:
            _log.warning(
                "%s uses have ids that another service recorded with other content, such as %r; the first one "
                "counts",
                len(found.conflicting),
                found.conflicting[0][:80],
            )
        keep_small_files_few(self._lake)

    def probe(self) -> None:
        """Ask the lake for a version; raises LakeError where it does not answer."""
        self._lake.version("queries")

    def state(self) -> WriterState:
        """The outbox in figures."""
        batches, readings, done = self._outbox.batches, self._outbox.readings, self._done
        figures = batches.waiting(), readings.waiting(), done.new, self._flushes, self._failure
        return WriterState(*figures, done.conflicting, batches.newest(), readings.oldest())

    def many_wait(self) -> bool:
        """Whether `serving.flush_uses` uses could go to the lake."""
        try:
            return self._outbox.batches.ready() >= self._project.serving.flush_uses
        except LakeError:  # the next flush says so
            return True


def _recording(project: Project) -> RecordedWith:
    source_ids, tokens_S = corpus_tokens(project)
    heads = Heads(project)

    @lru_cache(maxsize=8)
    def head_of(head_id: str) -> SourceHead:
        responses = simulated_responses(project, lineage(project).simulate_run)
        return heads.by_source(head_id, served_design(project, responses, tokens_S))

    return RecordedWith(source_ids, len(recorded_trainings(project)), head_of)
