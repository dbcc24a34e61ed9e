"""Influences on each token of a batch's queries, where `readout.tokens` asks for them.

They are no part of what a month is paid by. So they may be asked for after a month was attributed: the run keeps
its id, and its rows of `influence` say which queries were read out exactly, and what the tokens must add up to.

Legend: R replicates, N query rows, T positions of a row, L positions of queries, U units, Q queries, S sources.
"""

import numpy as np
from numpy.typing import NDArray

from tribute.catalog import recorded_replicates, simulated_responses, simulation_runs
from tribute.cluster import TokenInfluence, WriteJob, chunks
from tribute.config import Project
from tribute.corpus import QueryTable
from tribute.errors import ConfigError
from tribute.ids import excerpt
from tribute.readout import QueryRows, token_positions
from tribute.simulation import design_of
from tribute.tasks import build_task, has_tokens
from tribute_jobs.compute.readouts import ReadOuts
from tribute_jobs.context import Context
from tribute_storage import StagedFile, open_tables

BLOCK_VALUES = 2**24
"""Influences on tokens held in memory at once: queries are read out in blocks of about this many values."""
SOURCES_PER_JOB = 64
LARGEST_GAP = 1e-3
"""Of the sizes of a query's influences on tokens: what their sum may miss."""
ROUNDING = 1e-6
"""Nats that rounding to float32 may add to that, for each token, source and replicate."""


def require_tokens(project: Project) -> None:
    """Check that a project which asks for influences on tokens can have them.

    Raises:
        ConfigError: its task or its method has none; names it.
    """
    if project.simulation.estimated:
        raise ConfigError(
            f"readout.tokens: attribution.method {project.simulation.mode} has no influences on tokens. Leave it "
            "out, or attribute by simulations"
        )
    own = build_task(project.task).task
    if not has_tokens(own):
        raise ConfigError(
            f"readout.tokens: task {type(own).__name__} has no token_measurement, so influences cannot be divided "
            "among the tokens of a query. Leave it out, or write token_measurement(model, queries)"
        )


class TokenRows:
    """Reads out a batch of queries by token, and stages the rows."""

    def __init__(self, context: Context, run_id: str) -> None:
        self._context, self._run_id = context, run_id
        self._run, *_ = simulation_runs(context.project)
        self._found = simulated_responses(context.project, self._run.run_id)
        self._replicates = len(recorded_replicates(context.project))
        tokens = np.array([source.tokens for source in context.manifest().sources], dtype=np.float64)
        failed = [each.failed for each in self._found]
        self._design = design_of(self._run.settings.notion, [each.unit for each in self._found], tokens, failed)

    def staged(self, queries: QueryTable) -> list[StagedFile]:
        """Files with the rows of those queries that `influence` has, block by block."""
        known = self._known()
        chosen = [index for index, query_id in enumerate(queries.query_ids) if query_id in known]
        if not chosen:
            return []
        read_outs, taken = ReadOuts(self._context), queries.take(chosen)
        method = read_outs.method(self._run, self._found, taken)
        files = list[StagedFile]()
        for part in chunks(len(chosen), self._largest(taken)):
            block = taken.take(list(part))
            read = self._read(read_outs, method, block)
            self._require_sums(read, known)
            files += self._write(read)
        return files

    def _known(self) -> dict[str, float]:
        """The queries with rows in `influence`, and the sum of each over sources and replicates, nats."""
        with open_tables(self._context.lake.root, "influence") as connection:
            return dict(
                connection.execute(
                    "select query_id, sum(influence_nats::double order by source_id, replicate) "
                    "from influence where run_id = $1 group by query_id",
                    [self._run_id],
                ).fetchall()
            )

    def _largest(self, queries: QueryTable) -> int:
        """Queries in a block."""
        tokens = queries.rows["tokens"].shape[1] if "tokens" in queries.rows else 1
        longest = int(np.bincount(queries.row_query).max()) * tokens
        return max(1, BLOCK_VALUES // (self._replicates * max(len(self._found), 1) * longest))

    def _read(self, read_outs: ReadOuts, method: str, block: QueryTable) -> TokenInfluence:
        rows = QueryRows.of(block)
        influence_RNTU = read_outs.by_token(self._run, self._found, block, method)
        places = token_positions(rows, influence_RNTU.shape[2])
        influence_RLU = influence_RNTU.reshape(len(influence_RNTU), -1, influence_RNTU.shape[-1])
        return _by_token(block.query_ids, *places, influence_RLU)

    def _require_sums(self, read: TokenInfluence, known: dict[str, float]) -> None:
        """Check the tokens of each query against the influences that the lake has, over sources and replicates."""
        influence_RLS = np.stack([self._design.influence(each) for each in np.nan_to_num(read.influence_RLU)])
        queries, values = len(read.query_ids), influence_RLS.shape[0] * influence_RLS.shape[2]
        summed_Q, size_Q = (
            np.bincount(read.query_L, each.sum((0, 2)), queries) for each in (influence_RLS, np.abs(influence_RLS))
        )
        known_Q = np.array([known[query_id] for query_id in read.query_ids])
        rounding_Q = ROUNDING * values * np.bincount(read.query_L, minlength=queries)
        over_Q = np.abs(summed_Q - known_Q) - LARGEST_GAP * (size_Q + np.abs(known_Q)) - rounding_Q
        worst = int(np.argmax(over_Q))
        if over_Q[worst] > 0:
            task = type(build_task(self._context.project.task).task).__name__
            raise ConfigError(
                f"readout.tokens: the tokens of query {excerpt(read.query_ids[worst])} add up to "
                f"{summed_Q[worst]:.6g} nats over all sources, its influences to {known_Q[worst]:.6g}. Correct "
                f"token_measurement of task {task}: over the positions of a row it must add up to measurement. "
                "Nothing of it was written"
            )

    def _write(self, read: TokenInfluence) -> list[StagedFile]:
        context, names = self._context, self._context.source_ids()
        workers = context.workers()
        placed, design = workers.put(read), workers.put(self._design)
        jobs = [WriteJob(self._run_id, part) for part in chunks(len(names), SOURCES_PER_JOB)]
        staged = context.run_jobs(
            "written parts of influences on tokens",
            jobs,
            lambda actor, job: actor.write_tokens.remote(placed, design, names, job),
        )
        return [file for files in staged for file in files]


def _by_token(
    query_ids: tuple[str, ...],
    query_L: NDArray[np.int64],
    position_L: NDArray[np.int64],
    influence_RLU: NDArray[np.float32],
) -> TokenInfluence:
    """Each token of each query once, in order; without those that nothing has an influence on, such as padding."""
    used_L = np.nan_to_num(influence_RLU).any((0, 2))
    query_L, position_L, influence_RLU = query_L[used_L], position_L[used_L], influence_RLU[:, used_L]
    width = int(position_L.max(initial=0)) + 1
    token_L, first_L, index_L = np.unique(query_L * width + position_L, return_index=True, return_inverse=True)
    summed_RLU = influence_RLU[:, first_L]
    again_L = np.setdiff1d(np.arange(len(index_L)), first_L)  # a token that two rows share
    for summed_LU, influence_LU in zip(summed_RLU, influence_RLU, strict=True):
        np.add.at(summed_LU, index_L[again_L], influence_LU[again_L])
    return TokenInfluence(query_ids, token_L // width, token_L % width, summed_RLU)
