"""100 million influences: written by several processes, committed once, queried, compared with plain DuckDB.

- A month of 50,000 queries and 200, 1,000 and 2,000 sources is staged by jobs of 64 sources, as the scheduled job
  does it. Every step runs in a process of its own, whose greatest resident memory is reported.
- Three questions to `connect` and, in turns, the same SQL to DuckDB with plain views over the same files: ratio of
  the times on open connections, and with opening them; same threads and memory limit.
- 1,000 small commits of the service, then compaction; and 8 processes that race for the same 400 commits.
"""

import json
import shutil
import statistics
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from rich.console import Console
from rich.table import Table

from tests.benchmarks.lake_rows import QUERY_IDS, RUN, SOURCE_IDS, SOURCES, alone, rights, step, usage, write
from tests.benchmarks.results import write_results
from tribute.cluster import chunks
from tribute.readout import influence_rows
from tribute_storage import Lake, StagedFile, open_tables
from tribute_storage.upkeep.maintenance import compact

SIZES, CHUNK, WRITERS = (200, 1_000, SOURCES), 64, 2
THREADS, MEMORY = 2, "1.5GB"
FEWEST, REPEATS, REOPENED, PATIENCE = 5, 15, 3, 30
"""Repetitions of a question: more than `FEWEST` while they have taken less than `PATIENCE` seconds."""
SERVICE, RACERS, COMMITS = 1_000, 8, 50
ASKED, TOLD = QUERY_IDS[4711], SOURCE_IDS[123]

VALUE = """
WITH per_source AS (
    SELECT i.source_id, sum(i.influence_nats::DOUBLE * q.weight / q.inclusion_probability) AS nats
    FROM influence i JOIN queries q ON q.run_id = i.run_id AND q.query_id = i.query_id GROUP BY i.source_id
)
SELECT r.publisher_id, sum(s.nats * split_part(r.split, '/', 1)::DOUBLE
    / coalesce(nullif(split_part(r.split, '/', 2), '')::DOUBLE, 1)) AS value_nats
FROM per_source s JOIN rights r ON r.source_id = s.source_id GROUP BY r.publisher_id ORDER BY value_nats DESC
"""
TOP = f"""
SELECT i.source_id, avg(i.influence_nats) AS influence_nats,
    sqrt(coalesce(var_samp(i.influence_nats), 0) / count(*)
        + max(i.std_error_nats::DOUBLE) ** 2) AS std_error_nats, any_value(i.run_id) AS run_id
FROM influence i
WHERE i.query_id = '{ASKED}' AND i.run_id = (SELECT max(q.run_id) FROM queries q WHERE q.query_id = '{ASKED}')
GROUP BY i.source_id ORDER BY influence_nats DESC, i.source_id LIMIT 10
"""
TIME_LINE = f"""
SELECT date_trunc('day', q.time) AS day, sum(i.influence_nats::DOUBLE * q.weight) AS nats, count(*) AS queries
FROM influence i JOIN queries q ON q.run_id = i.run_id AND q.query_id = i.query_id
WHERE i.source_id = '{TOLD}' GROUP BY day ORDER BY day
"""
QUESTIONS = {
    "value_per_publisher": (VALUE, VALUE),
    "top_sources": (f"SELECT * FROM top_sources('{ASKED}') LIMIT 10", TOP),
    "top_sources_plain_sql": (TOP, TOP),
    "time_line": (TIME_LINE, TIME_LINE),
}
"""What is asked of the lake, and the same of bare DuckDB."""


def commit(root: Path, files: list[StagedFile]) -> float:
    """Commit the staged files, after the small tables; seconds of the one commit."""
    lake = Lake(root)
    lake.append("queries", RUN, usage(RUN, QUERY_IDS))
    lake.append("rights", RUN, rights())
    return step(partial(lake.commit, "influence", RUN, files)).seconds


def fill(root: Path, sources: int, sampled: bool) -> dict[str, float]:
    """A lake of that many sources: what writing and committing took."""
    with ProcessPoolExecutor(WRITERS, mp_context=get_context("spawn")) as pool:
        written = list(pool.map(partial(write, root, sampled, 1), chunks(sources, CHUNK)))
    files = [file for file, _ in written]
    committed, rows = alone(commit, root, files), sum(file.rows for file in files)
    return {
        "stage": sum(stage.seconds for _, stage in written) / WRITERS,
        "commit": committed.answer,
        "rows_per_second_of_a_process": rows / sum(stage.seconds for _, stage in written),
        "writer_gib": max(stage.peak_gib for _, stage in written),
        "committer_gib": committed.peak_gib,
        "bytes_per_row": sum(file.size for file in files) / rows,
    }


def opened(root: Path, bare: bool) -> duckdb.DuckDBPyConnection:
    """A connection to the lake, or one of plain DuckDB over the same files, with the same settings."""
    if bare:
        connection = duckdb.connect()
        connection.execute("SET TimeZone = 'UTC'")
        for table in ("influence", "queries", "rights"):
            paths = Lake(root).files(table)
            connection.execute(f"CREATE VIEW {table} AS SELECT * FROM read_parquet({paths})")
    else:
        connection = open_tables(root)
    connection.execute(f"SET threads = {THREADS}")
    connection.execute(f"SET memory_limit = '{MEMORY}'")
    return connection


def ask(root: Path, sql: str) -> list[tuple]:
    """Open the lake and ask it one question."""
    with opened(root, bare=False) as connection:
        return connection.execute(sql).fetchall()


def compare(root: Path) -> dict[str, dict[str, Any]]:
    """Every question to both sides in turns, on open connections and on fresh ones."""
    sides = [opened(root, bare) for bare in (False, True)]
    found: dict[str, dict[str, Any]] = {}
    for name, both in QUESTIONS.items():
        answers = [side.execute(sql).fetchall() for side, sql in zip(sides, both, strict=True)]
        if not _same(*answers):
            raise AssertionError(f"{name}: the lake and bare DuckDB answer differently")
        seconds, reopened = [], []
        while len(seconds) < FEWEST or (len(seconds) < REPEATS and np.sum(seconds) < PATIENCE):
            timed, repeat = {}, len(seconds)
            for bare in (False, True) if repeat % 2 else (True, False):
                timed[bare] = step(lambda at=bare, asked=both: sides[at].execute(asked[at]).fetchall()).seconds
            seconds.append((timed[False], timed[True]))
        for _ in range(REOPENED):
            reopened.append(tuple(step(partial(_fresh, root, bare, both[bare])).seconds for bare in (False, True)))
        found[name] = {"open": seconds, "reopened": reopened}
    nothing = [partial(_fresh, root, bare, "SELECT 1") for bare in (False, True)]
    found["opening"] = {"open": [tuple(step(each).seconds for each in nothing) for _ in range(REPEATS)]}
    return found


def _same(ours: list[tuple], bare: list[tuple]) -> bool:
    return len(ours) == len(bare) and all(
        abs(left - right) <= 1e-9 * abs(right) if isinstance(right, float) else left == right
        for one, other in zip(ours, bare, strict=True)
        for left, right in zip(one, other, strict=True)
    )


def _fresh(root: Path, bare: bool, sql: str) -> list[tuple]:
    with opened(root, bare) as connection:
        return connection.execute(sql).fetchall()


def row_groups(root: Path) -> dict[str, int]:
    """How many row groups there are, and how many their statistics leave for a query and for a source."""
    paths, left = Lake(root).files("influence"), {}
    with duckdb.connect() as connection:
        for name, column, value in (("query", "query_id", ASKED), ("source", "source_id", TOLD)):
            [(left["all"], left[f"of_a_{name}"])] = connection.execute(
                f"SELECT count(*), count(*) FILTER ($1 BETWEEN stats_min_value AND stats_max_value) "
                f"FROM parquet_metadata({paths}) WHERE path_in_schema = $2",
                [value, column],
            ).fetchall()
    return left


def serve(root: Path) -> None:
    """Commit as the service does: a query of all sources each time."""
    rng, lake = np.random.default_rng(3), Lake(root)
    for index in range(SERVICE):
        run_id, query_ids = f"service-{index:04}", [QUERY_IDS[index]]
        influence_RQS = rng.standard_t(3, (1, 1, len(SOURCE_IDS)))
        rows = influence_rows(run_id, SOURCE_IDS, query_ids, influence_RQS, np.zeros_like(influence_RQS))
        lake.append("influence", run_id, rows)
        lake.append("queries", run_id, usage(run_id, query_ids))


def compact_all(root: Path) -> None:
    """Compact what the service wrote."""
    for table in ("influence", "queries"):
        compact(Lake(root), table)


def compaction(root: Path) -> dict[str, float]:
    """Seconds of 1,000 small commits and of compacting them, of opening and of a query before and after."""
    found, top = {"service_commits": alone(serve, root).seconds}, f"FROM top_sources('{QUERY_IDS[7]}')"
    for moment in ("before", "after"):
        for name, sql in (("open", "SELECT 1"), ("open_and_top_sources", top)):
            found[f"{name}_{moment}_compaction"] = alone(ask, root, sql).seconds
        if moment == "before":
            compacted = alone(compact_all, root)
            found |= {"compact": compacted.seconds, "compact_peak_gib": compacted.peak_gib}
    return found


def race(root: Path, racer: int) -> None:
    """Commit one's own runs, and each time the next racer's too, as a retry that knows nothing of it would."""
    lake = Lake(root)
    for index in range(COMMITS):
        for owner in (racer, (racer + 1) % RACERS):
            run_id = f"run-{owner}-{index}"
            rows = usage(run_id, [QUERY_IDS[owner * COMMITS + index]])
            lake.commit("queries", run_id, [lake.stage("queries", rows)])


def raced(root: Path) -> dict[str, float]:
    """Commits that are not there, and rows that are there twice, after all racers came in."""
    with ProcessPoolExecutor(RACERS, mp_context=get_context("spawn")) as pool:
        seconds = step(lambda: list(pool.map(partial(race, root), range(RACERS)))).seconds
    [(runs, rows)] = ask(root, "SELECT count(DISTINCT run_id), count(*) FROM queries")
    return {"commits_lost": RACERS * COMMITS - runs, "commits_doubled": rows - runs, "race_seconds": seconds}


def median_ratio(pairs: Sequence[Sequence[float]]) -> float:
    """Median of the ratios of ours to bare DuckDB's seconds."""
    return statistics.median(ours / bare for ours, bare in pairs)


def measure(folder: Path) -> dict[str, Any]:
    """All parts; every lake is removed when it has been asked."""
    filled, peak = {}, {}
    for sources in SIZES:
        root, rows = folder / f"lake-{sources}", str(sources * len(QUERY_IDS))
        filled[rows] = fill(root, sources, sampled=True)
        peak[rows] = {name: filled[rows][name] for name in ("writer_gib", "committer_gib")}
        peak[rows] |= {name: alone(ask, root, ours).peak_gib for name, (ours, _) in QUESTIONS.items()}
        print(json.dumps({rows: filled[rows] | peak[rows]}), flush=True)
        if sources < SOURCES:
            shutil.rmtree(root)
    compared, groups = alone(compare, root).answer, row_groups(root)
    shutil.rmtree(root)
    exact = fill(folder / "exact", SIZES[0], sampled=False)["bytes_per_row"]
    _, largest = alone(write, folder / "largest", True, 3, tuple(range(CHUNK))).answer
    opening = compared.pop("opening")["open"]
    return {
        "rows": SOURCES * len(QUERY_IDS),
        "settings": {"threads": THREADS, "memory_limit": MEMORY, "writers": WRITERS, "sources_of_a_job": CHUNK},
        "bytes_per_row": {"exact": exact, "sampled": filled[rows]["bytes_per_row"]},
        "ratio_to_bare_duckdb": {name: median_ratio(each["open"]) for name, each in compared.items()},
        "ratio_with_opening": {name: median_ratio(each["reopened"]) for name, each in compared.items()},
        "seconds": {
            "stage": filled[rows]["stage"],
            "commit": filled[rows]["commit"],
            "open": statistics.median(ours for ours, _ in opening),
            "open_bare": statistics.median(bare for _, bare in opening),
        }
        | {name: statistics.median(ours for ours, _ in each["open"]) for name, each in compared.items()},
        "peak_gib": {size: max(each.values()) for size, each in peak.items()},
        "peak_gib_of_steps": peak,
        "peak_gib_of_nothing": alone(int).peak_gib,
        "job_of_3_replicates": {"peak_gib": largest.peak_gib, "seconds": largest.seconds},
        "rows_per_second_of_a_process": filled[rows]["rows_per_second_of_a_process"],
        "row_groups": groups,
        "compaction": compaction(folder / "service"),
    } | raced(folder / "race")


def show(figures: dict[str, Any]) -> None:
    """The figures as tables."""
    asked = Table(
        title=f"Questions to {figures['rows']:,} influences, compared with plain DuckDB", title_justify="left"
    )
    for name in ("question", "seconds", "ratio", "ratio with opening"):
        asked.add_column(name, justify="right")
    for name, ratio in figures["ratio_to_bare_duckdb"].items():
        opened_ratio, seconds = figures["ratio_with_opening"][name], figures["seconds"][name]
        asked.add_row(name, f"{seconds:.3f}", f"{ratio:.2f}", f"{opened_ratio:.2f}")
    peaks = Table(title="Peak memory by rows, GiB", title_justify="left")
    for name in ("rows", *next(iter(figures["peak_gib_of_steps"].values()))):
        peaks.add_column(name.removesuffix("_gib"), justify="right")
    for rows, steps in figures["peak_gib_of_steps"].items():
        peaks.add_row(f"{int(rows):,}", *(f"{gib:.2f}" for gib in steps.values()))
    rest = Table(title="The rest", title_justify="left", show_header=False)
    tables = ("ratio_to_bare_duckdb", "ratio_with_opening", "peak_gib", "peak_gib_of_steps", "rows", "settings")
    for name, value in figures.items():
        if name not in tables:
            parts = value.items() if isinstance(value, dict) else [("", value)]
            for part, figure in parts:
                rest.add_row(name, part, f"{figure:,.3f}" if isinstance(figure, float) else f"{figure:,}")
    for table in (asked, peaks, rest):
        Console(width=150).print(table)


def main() -> None:
    """All parts, to build/bench/lake.json."""
    with tempfile.TemporaryDirectory(prefix="tribute-lake-") as folder:
        figures = measure(Path(folder))
    show(figures)
    write_results("lake", figures)


if __name__ == "__main__":
    main()
