"""The front door: from a task and examples by source to values, shares and amounts.

Legend: Q queries, N examples of a source.
"""

from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any

from tribute.config import EvaluationSettings
from tribute.errors import ConfigError
from tribute.ids import excerpt, listed
from tribute.study.attribution import Attribution, attributed, chosen_settings
from tribute.study.evaluation import EvaluationReport, evaluated
from tribute.study.examples import query_table
from tribute.study.model import StudiedModel
from tribute.study.retraining import valued
from tribute.study.values import Values


class Study(StudiedModel):
    """A model, its sources, and what each source was worth.

    Everything runs in this process, on one thread, unless Ray is asked for. Without `folder`, working files are
    temporary and deleted with the study. With it, whatever was computed from the same task, examples and settings
    is found again, and an interrupted computation goes on.

    Args:
        task: how to build the model, what it is trained on and what is measured: see `tribute.Task`.
        by_source: source id to examples: columns by name, each [N, ...] with N examples of the source. Arrays,
            tensors, a `datasets.Dataset` or a data frame.
        replicates: number of seeds to train under, 3 by default. `training` from a project file has it already.
        tokens: source id to its size; by default the size of the column `tokens`, else the number of examples.
        ray: True for workers of a local Ray, or the address of a cluster, whose nodes must all see `folder`.

    Raises:
        ConfigError: the task lacks a function.
        CorpusError: the examples cannot be used; names the source and the column.

    >>> study = tribute.Study(task, by_source, training=training, replicates=2)
    >>> study.train().steps
    12
    >>> influence = study.attribute(queries)
    >>> values = study.value(influence)
    >>> payout = values.shares().allocate("10000.00 EUR")
    >>> sum(payout.minor.values())
    1000000
    """

    def attribute(
        self,
        queries: Any,
        method: str | None = None,
        *,
        options: Mapping[str, Any] | None = None,
        ids: Sequence[str] | None = None,
        weights: Sequence[float] | None = None,
    ) -> Attribution:
        """Influence of every source on every query.

        Args:
            queries: columns by name, each [Q, ...], as the task's measurement takes them. method: `paired`,
            `tangent` or an estimator such as `ekfac` or `trak`; by default the mode of the simulation. options: of
            an estimator. ids: query ids, [Q]; by default positions. weights: how often each query was asked, [Q];
            by default once.

        Raises:
            SimulationError: the study is not trained yet.
            ConfigError: there is no such method, or it does not suit the task or the sources.
            CorpusError: the queries cannot be used.
        """
        settings = chosen_settings(self.simulation, method, options)
        table = query_table(queries, self.data, ids, weights)
        with self.runs.reporter.telling("attribute"):
            return attributed(self, table, settings)

    def value(self, attribution: Attribution, precision: float | None = None, budget: int | None = None) -> Values:
        """Value of every source over the attributed queries, by estimates and real trainings without some sources.

        Models are trained until the precision is reached or the budget is spent. What a study has trained, later
        values learn from, too; so a finer precision goes on where a coarser one stopped.

        Args:
            precision: expected misallocated pool that is precise enough, as a part of the pool.
            budget: most trainings; 0 trains nothing. Without a precision and a budget those of `valuation` count.

        Raises:
            ConfigError: the precision or the budget cannot be used, or the attribution is of another study.
        """
        if precision is not None and not (isinstance(precision, Real) and 0 < precision < 1):
            raise ConfigError(f"precision is {excerpt(precision)}. Give a part of 1, such as 0.05")
        if budget is not None and (isinstance(budget, bool) or not (isinstance(budget, Integral) and budget >= 0)):
            raise ConfigError(f"budget is {excerpt(budget)}. Give a number of trainings, such as 20")
        if attribution.source_ids != self.source_ids:
            raise ConfigError(
                f"The attribution is of sources {listed(attribution.source_ids)}, the study of "
                f"{listed(self.source_ids)}. Value it with the study that made it"
            )
        with self.runs.reporter.telling("value"):
            number = None if budget is None else int(budget)
            part = None if precision is None else float(precision)
            return valued(self, attribution, self.valuation.asked(part, number))

    def evaluate(
        self, queries: Any, *, method: str | None = None, seeds: int = 2, subsets: int = 50
    ) -> EvaluationReport:
        """How far to trust attributions and values, measured by real retraining under other seeds.

        Values are learnt on one half of the queries, and scored on the other. Recorded loops are replayed without
        sources and judged by these replays; another seed is then another recording. A checkpoint is trained
        further, with and without sources, under other orders of the examples. The report says which.

        Args:
            queries: columns by name, each [Q, ...]; at least 20 queries.
            seeds: other seeds under which every source is really left out; of no effect on recordings.
            subsets: most random halves of the sources that are left out, for the LDS.

        Raises:
            ConfigError: too few queries, or semivalues.
        """
        settings = EvaluationSettings(seeds=seeds, subsets=subsets)
        table = query_table(queries, self.data, None, None)
        chosen = chosen_settings(self.simulation, method, None)
        with self.runs.reporter.telling("evaluate"):
            return evaluated(self, table, chosen, settings)
