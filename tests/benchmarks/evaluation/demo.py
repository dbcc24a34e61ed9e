"""`tribute evaluate` on the demo's transformer: the rows of its certificate, with what each method stores."""

from pathlib import Path
from typing import Any

from tests.benchmarks.evaluation.settings import RANKED, SOURCES, query_costs
from tests.benchmarks.spine import timed_run, tribute
from tests.benchmarks.worlds import PERIOD, World
from tribute_jobs.stages.evaluate import read_certificate


def judge_demo(folder: Path) -> dict[str, Any]:
    """The result of `tribute evaluate` with all estimators, its seconds, and its page."""
    path = folder / "project.yaml"
    timed_run([*tribute(), "demo", "--folder", str(path.parent), "--period", PERIOD])
    seconds, _ = timed_run([*tribute(), "evaluate", str(path), "--period", PERIOD, "--estimators", "all"])
    kept = path.parent / "tribute-data"
    [page] = (kept / "certificates").glob("*.html")
    said = read_certificate(kept / "lake", page.stem).model_dump()
    return {
        "rows": [_row(row) for row in said["rows"]],
        "ceiling": {"lds_half_other_seed": said["ceiling"]["lds_half"], **said["ceiling"]},
        "cost_in_forwards": query_costs(World(path), SOURCES),
        "headline": said["headline"],
        "evaluate_seconds": seconds,
        "certificate": str(page),
    }


def _row(row: dict[str, Any]) -> dict[str, Any]:
    """A row of the certificate, as the other settings have theirs."""
    figures = {name: row[name] for name in RANKED if row[name]}
    values = {name: figures[name]["value"] if name in figures else None for name in RANKED}
    intervals = {name: [figure["low"], figure["high"]] for name, figure in figures.items()}
    return row | values | {"intervals": intervals, "bytes": row["stored_bytes"]}
