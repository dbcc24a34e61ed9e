"""The context that the stages of one run share: the project, its lake, its workers; and a stage's output."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from filelock import FileLock, Timeout

from tribute.catalog import Lineage, lineage, period_queries
from tribute.config import HeldOutQueriesSettings, Project
from tribute.corpus import (
    Corpus,
    Manifest,
    OutOfDistributionDetector,
    QueryTable,
    held_out_queries,
    ood_detector,
    read_corpus,
    read_manifest,
)
from tribute.errors import BusyError, CorpusError, MachineError
from tribute.progress import OnDone, unheard
from tribute.training import build_model
from tribute_jobs.last_run import LastRun
from tribute_jobs.progress import Reporter, Reporters
from tribute_jobs.running import LOCK, RunningFile
from tribute_storage import Lake, require_own

if TYPE_CHECKING:
    from tribute.cluster import WorkerPool

MOMENT_S = 0.2
"""How long to wait for the lock: `tribute status` takes it for a moment, to see whether someone has it."""


class Inputs:
    """The corpus and the queries of a project, each read once: by the check of a run, for its stages."""

    def __init__(self, project: Project, on_done: OnDone = unheard) -> None:
        self.project, self._on_done = project, on_done
        self._corpus: Corpus | CorpusError | None = None
        self._queries = dict[str, QueryTable]()

    def corpus(self) -> Corpus:
        """The corpus as its files have it now; raises what `read_corpus` does."""
        if self._corpus is None:
            try:
                self._corpus = read_corpus(self.project.corpus, self._on_done)
            except CorpusError as problem:
                self._corpus = problem.with_traceback(None)
        if isinstance(self._corpus, CorpusError):
            raise self._corpus
        return self._corpus

    def release_corpus(self) -> Corpus:
        """The corpus, for the last time: it is no longer held."""
        corpus, self._corpus = self.corpus(), None
        return corpus

    def queries(self, period: str) -> QueryTable:
        """The queries of a period; raises what `period_queries` does."""
        settings = self.project.queries
        if isinstance(settings, HeldOutQueriesSettings) and isinstance(self._corpus, Corpus):
            held_out = {each.source.source_id: each.held_out for each in self._corpus.sources}
            return held_out_queries(held_out, settings.per_source)
        if period not in self._queries:
            self._queries[period] = period_queries(self.project, period)
        return self._queries[period]


class Context:
    """The state of a run, for the length of a command."""

    def __init__(self, project: Project, reporter: Reporter, stack: ExitStack, inputs: Inputs) -> None:
        self.project, self.reporter, self._stack, self.inputs = project, reporter, stack, inputs
        self.lake = Lake(project.lake_root)
        require_own(self.lake, project.name)
        self.last_run = LastRun(project.workdir)
        self.runs: Lineage = lineage(project)
        self._workers: WorkerPool | None = None
        self._ood_detector: OutOfDistributionDetector | None = None

    def folder(self, run_id: str) -> Path:
        """The folder of a run's artifacts."""
        return self.project.artifacts / run_id

    def uri(self, path: Path | str) -> str:
        """An artifact's name in the lake: its path relative to the working folder, so that the folder can move."""
        return Path(path).relative_to(self.project.workdir).as_posix()

    def manifest(self) -> Manifest:
        """The manifest of the corpus snapshot."""
        return read_manifest(self.folder(self.runs.corpus_run))

    def source_ids(self) -> tuple[str, ...]:
        """The sources, in the order of the training set."""
        return tuple(source.source_id for source in self.manifest().sources)

    def ood_detector(self) -> OutOfDistributionDetector:
        """The test of whether a query resembles the corpus; built on first use."""
        if self._ood_detector is None:
            self._ood_detector = ood_detector(self.folder(self.runs.corpus_run))
        return self._ood_detector

    def recording(self, replicate: int) -> Path | None:
        """The folder of the user's own recorded training of a replicate, if there is one."""
        recordings = self.project.training.recordings
        return recordings[replicate] if recordings else None

    def committed(self, table: str, run_id: str) -> bool:
        """Whether a run is committed to a table."""
        return self.lake.committed(table, run_id)

    def workers(self) -> "WorkerPool":
        """The worker pool of the run. Ray starts with the first stage that needs it."""
        if self._workers is None:
            from tribute.cluster import ShardSettings, WorkerPool, ray_session  # noqa: PLC0415  (a run that changes nothing needs no Ray)

            project = self.project
            self.reporter.working("start of the workers")
            self._stack.enter_context(ray_session(project.cluster))
            shard = ShardSettings(
                self.folder(self.runs.corpus_run),
                project.task,
                build_model(project.task, project.training).frozen,
                project.training,
                project.lake_root,
                project.readout.memory_gib,
            )
            self._workers = WorkerPool(project.cluster, shard)
            self._stack.callback(self._workers.close)
        return self._workers

    def run_jobs(
        self, part: str, jobs: Sequence[Any], submit: Callable[[Any, Any], Any], *, tolerant: bool = False
    ) -> list[Any]:
        """Run jobs on the workers as a part of the stage that is told; see `WorkerPool.run`."""
        workers = self.workers()
        self.reporter.working(part)
        return workers.run(jobs, submit, self.reporter.advanced, tolerant=tolerant)


class StageOutput(NamedTuple):
    """The run id of a stage's output, whether this call committed it, and a one-line summary."""

    run_id: str
    new: bool
    summary: str


@contextmanager
def open_context(project: Project, reporter: Reporter, inputs: Inputs | None = None) -> Iterator[Context]:
    """A context that holds the working folder's lock, so that only one run writes, and says there how far it is.

    Args:
        inputs: what was read already.

    Raises:
        BusyError: another process holds the lock.
    """
    with locked(project), closing(Reporters(reporter, RunningFile(project.workdir))) as told, ExitStack() as stack:
        yield Context(project, told, stack, inputs or Inputs(project))


@contextmanager
def locked(project: Project) -> Iterator[None]:
    """Holds the working folder's lock.

    Raises:
        BusyError: another process holds the lock.
    """
    project.workdir.mkdir(parents=True, exist_ok=True)
    lock = FileLock(project.workdir / LOCK)
    try:
        lock.acquire(timeout=MOMENT_S)
    except Timeout:
        raise BusyError(
            f"Another tribute command is running in {project.workdir}. Wait for it, or give this project its own "
            "`workdir`"
        ) from None
    with lock, staying(project.workdir), staying(Path(project.lake_root)):
        yield


@contextmanager
def staying(folder: Path) -> Iterator[None]:
    """What ends after a folder was moved or deleted has failed for that reason, also where it seems to be done.

    Only a folder that is there at first can go; a lake's URI is none.
    """
    before = folder.stat() if folder.is_dir() else None

    def require_there(error: Exception | None) -> None:
        if before is not None and not (folder.exists() and os.path.samestat(folder.stat(), before)):
            raise MachineError(
                f"Folder {folder} was moved or deleted while the command was at work. Put it back, or mount its "
                "disk again, then run the same command again: finished work that is in it is kept"
            ) from error

    try:
        yield
    except Exception as error:
        require_there(error)
        raise
    require_there(None)
