"""The valuation of a period, for the stage `value` and for the service.

Legend: U units, S sources; P publishers, or pairs of coalitions.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date
from importlib.metadata import version

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tribute.catalog.estimates import corpus_learnt_tokens, estimates_run, measured_trainings, read_estimates
from tribute.catalog.report import Valuation, read_valuation
from tribute.catalog.responses import corpus_tokens, simulated_responses
from tribute.catalog.runs import RELEASES, lineage, retrain_run, run_id
from tribute.catalog.sums import attribution_runs, source_sums
from tribute.catalog.uses import customer_cap
from tribute.config import Project
from tribute.errors import ValuationError
from tribute.royalty.exact.calendar import period_days
from tribute.royalty.terms import RightsBook, read_rights, rights_of_publishers
from tribute.simulation import design_of
from tribute.valuation import SourceSums
from tribute.valuation.rows import CorpusSources, Splits, fraction_text, publisher_parts, valuation_rows
from tribute.valuation.values import source_values
from tribute_storage import SCHEMAS, Lake, open_tables


def value_period(lake: Lake, project: Project, period: str, batch_run: str | None) -> Valuation:
    """Value a period's attributed queries by source and publisher, and commit the valuation.

    Every source of a period without queries has the value 0.

    Args:
        batch_run: the batch attribution of the period. Queries that the service recorded are added to it.

    Raises:
        ValuationError: neither the service nor a batch attributed the period, not even an empty batch; or all
            simulations failed.
        RightsError: the sources file does not cover the corpus or the period.
    """
    runs = lineage(project)
    with open_tables(lake.root) as connection:
        corpus = _corpus(connection, runs.corpus_run)
        book = read_book(project, corpus.publishers)
        attributed = attribution_runs(connection, runs.simulate_run, period, batch_run)
        batch, retrained = None, None
        if attributed:
            batch = estimates_run(connection, project, batch_run)
            retrained = batch and _finished(lake, retrain_run(project, batch))
        else:
            attributed = [_empty_batch(lake, period, batch_run)]
        settings, cap = project.valuation.fingerprint(), customer_cap(project)
        limits = [] if cap is None else [str(cap)]
        sampled_in = coalition_batch(connection, project, batch_run)
        limits += [sampled_in] if sampled_in and sampled_in not in attributed else []
        made = RELEASES["value"], version("numpy")
        value_run = run_id("value", attributed, period, book.sha256, settings, batch, retrained, *limits, made)
        new = not lake.committed("valuations", value_run)
        if new:
            splits = period_splits(book, period, corpus.source_ids)
            sums = source_sums(connection, runs.simulate_run, period, attributed, corpus.source_ids, cap)
            errors_PS = coalition_errors(connection, project, sampled_in, sums, attributed)
            sums = sums._replace(coalitions_PS=errors_PS)
            measured = measured_trainings(connection, retrained)
            estimates = None
            if batch:
                estimates = read_estimates(connection, project, batch, corpus.source_ids, measured)
                estimates = replace(estimates, shared=batch in attributed)
            learnt_S = corpus_learnt_tokens(connection, runs.corpus_run, runs.train_run)
            values = source_values(project.valuation, sums, learnt_S, estimates)
            rows = valuation_rows(corpus, splits, values)
            labels: dict[str, object] = {"run_id": value_run, "simulate_run": runs.simulate_run, "period": period}
            labels |= {"queries": sums.queries, "notion": project.simulation.notion}
            labels |= {"attribute_runs": attributed, "rights_run": _commit_book(lake, book)}
            labels |= {"estimates_run": batch, "retrain_run": retrained}
            lake.append(
                "valuations",
                value_run,
                pa.Table.from_pylist([row | labels for row in rows], SCHEMAS["valuations"]),
            )
    return Valuation(value_run, period, read_valuation(lake, value_run), new)


def _finished(lake: Lake, retrain_run: str) -> str | None:
    return retrain_run if lake.committed("precisions", retrain_run) else None


def _empty_batch(lake: Lake, period: str, batch_run: str | None) -> str:
    if batch_run is None or not lake.committed("queries", batch_run):
        raise ValuationError(
            f"Period {period} has no attributed query. Attribute some: tribute attribute, or POST "
            "/v1/attributions to the service"
        )
    return batch_run


def period_splits(book: RightsBook, period: str, source_ids: Iterable[str]) -> Splits:
    """The publishers of each source in a period, and their exact parts.

    Raises:
        RightsError: a source has no right, or its splits do not sum to 1 on some day.
    """
    first, after = (date.fromisoformat(day) for day in period_days(period))
    return book.period_splits(first, after, source_ids)


def payees(project: Project, period: str) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """Publishers, and their parts of the sources in a period, [S, P].

    Raises:
        RightsError: see `period_splits`.
    """
    with open_tables(project.lake_root) as connection:
        corpus = _corpus(connection, lineage(project).corpus_run)
    splits = period_splits(read_book(project, corpus.publishers), period, corpus.source_ids)
    return publisher_parts(splits, corpus.source_ids)


def read_book(project: Project, publisher_of_source: dict[str, str]) -> RightsBook:
    """The rights of `project.yaml`, or else the publishers in the corpus's metadata."""
    if project.rights.sources is None:
        return rights_of_publishers(publisher_of_source)
    return read_rights(project.rights.sources, project.rights.publishers)


def _corpus(connection: duckdb.DuckDBPyConnection, corpus_run: str) -> CorpusSources:
    rows = connection.execute(
        "select source_id, publisher, tokens from corpus_sources where run_id = $1 order by source_id",
        [corpus_run],
    ).fetchall()
    if not rows:
        raise ValuationError("The lake holds no corpus of these settings. Run: tribute train PROJECT.yaml")
    return CorpusSources(tuple(r[0] for r in rows), {r[0]: r[1] for r in rows}, tuple(r[2] for r in rows))


def _commit_book(lake: Lake, book: RightsBook) -> str:
    """Commit the rights of a valuation, unless they are committed; their run id."""
    rights_run = run_id("rights", book.sha256)
    people = [{"run_id": rights_run, "publisher_id": p.publisher_id, "name": p.name} for p in book.publishers]
    lake.append("publishers", rights_run, pa.Table.from_pylist(people, SCHEMAS["publishers"]))
    rights = [
        {
            "run_id": rights_run,
            "source_id": right.source_id,
            "publisher_id": right.publisher_id,
            "split": fraction_text(right.split),
            "valid_from": right.valid_from,
            "valid_to": right.valid_to,
        }
        for right in book.rights
    ]
    lake.append("rights", rights_run, pa.Table.from_pylist(rights, SCHEMAS["rights"]))
    return rights_run


def coalition_batch(lake: duckdb.DuckDBPyConnection, project: Project, batch_run: str | None) -> str | None:
    """The batch whose totals by coalition tell a period's sampling error: its own, or else the latest.

    None without a batch, and for leave-one-out. A period that only the service attributed has no batch of its own.
    """
    if project.simulation.notion == "leave_one_out":
        return None
    row = lake.execute(
        "select run_id from estimates join (select distinct run_id, period from queries) using (run_id) "
        "where simulate_run = $1 group by run_id order by run_id = $2 desc, max(period) desc, run_id limit 1",
        [lineage(project).simulate_run, batch_run],
    ).fetchone()
    return row[0] if row else None


def coalition_errors(
    lake: duckdb.DuckDBPyConnection,
    project: Project,
    batch_run: str | None,
    sums: SourceSums,
    attribute_runs: Sequence[str],
) -> NDArray[np.float64]:
    """Errors of a period's sums from sampled coalitions, as independent parts, [P, S] nats.

    All queries have the same coalitions, so the errors are those of the batch, per use, times the period's uses.
    Without a batch, every source's error is at most the sum of its queries' errors, which is taken.

    Args:
        batch_run: see `coalition_batch`.
        attribute_runs: the attribution runs of the period.
    """
    none_PS = np.zeros((0, len(sums.source_ids)))
    if project.simulation.notion == "leave_one_out" or not sums.queries:
        return none_PS
    simulate_run, tokens_S = lineage(project).simulate_run, corpus_tokens(project)[1]
    found = simulated_responses(project, simulate_run)
    units, failed = [each.unit for each in found], [each.failed for each in found]
    design = design_of(project.simulation.notion, units, tokens_S, failed)
    if design.sampled is None:
        return none_PS
    if batch_run is None:
        return _largest_errors(lake, sums.source_ids, attribute_runs)
    rows = lake.execute(
        "select unit_id, avg(nats order by replicate) from estimates where run_id = $1 and simulate_run = $2 "
        "group by unit_id",
        [batch_run, simulate_run],
    ).fetchall()
    [(uses,)] = lake.execute(
        "select sum((weight / inclusion_probability)::decimal(38, 12)) from queries where run_id = $1", [batch_run]
    ).fetchall()
    totals = dict(rows)
    total_U = np.array([totals.get(unit.unit_id, np.nan) for unit in units])
    return design.sampling_errors(total_U) * (sums.uses / float(uses))


def _largest_errors(
    lake: duckdb.DuckDBPyConnection, source_ids: Sequence[str], attribute_runs: Sequence[str]
) -> NDArray[np.float64]:
    rows = lake.execute(
        "select source_id, "
        "sum((weight / inclusion_probability / readout_probability * std_error_nats)::decimal(38, 12)) "
        "from influence join queries using (run_id, query_id) "
        "where list_contains($1, run_id) and replicate = 0 group by source_id",
        [list(attribute_runs)],
    ).fetchall()
    errors = dict(rows)
    return np.diag([float(errors.get(source_id, 0.0)) for source_id in source_ids])
