"""Two services in two working folders and a batch job record one month on one lake at once: its totals are those
of a batch job that had all the uses."""

import asyncio
import json
import shutil
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from tests.e2e.conftest import PERIOD
from tribute.catalog import valuation_report
from tribute.config import Project, load_project
from tribute.serving import local_engine
from tribute.serving.schemas import AttributionRequest
from tribute_jobs.inquiries.report import latest_valuation
from tribute_jobs.pipeline import run
from tribute_jobs.progress import JsonReporter
from tribute_storage import open_tables

OTHER = "2026-09"


def copied(finished: Project, folder: Path, lake: str, rows: list[dict]) -> Project:
    """A working folder on a lake, whose usage files have further rows."""
    shutil.copytree(finished.workdir.parent, folder)
    path = folder / "project.yaml"
    settings = yaml.safe_load(path.read_text()) | {"lake": lake, "tracking": {"enabled": False}}
    path.write_text(yaml.safe_dump(settings))
    with (folder / "usage.jsonl").open("a") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    return load_project(path)


def served(project: Project, queries: list[dict]) -> None:
    """A service that records uses one by one, each brought to the lake at once."""

    async def record() -> None:
        async with local_engine(project) as engine:
            for query in queries:
                await engine.attribute(AttributionRequest.model_validate({"queries": [query]}))
                await engine.flush()

    asyncio.run(record())


def test_two_services_and_a_batch_job_at_once_have_the_totals_of_one_job(
    finished: Project, tmp_path: Path
) -> None:
    usage = [json.loads(line) for line in (finished.workdir.parent / "usage.jsonl").read_text().splitlines()]
    uses = [
        row | {"time": row["time"].replace(PERIOD, OTHER), "query_id": f"all/{row['query_id']}"} for row in usage
    ]
    lake = str(tmp_path / "lake")
    shutil.copytree(finished.lake_root, lake)
    one = copied(finished, tmp_path / "one", lake, uses[8:])
    two = copied(finished, tmp_path / "two", lake, [])
    with ThreadPoolExecutor(2) as threads:
        services = [threads.submit(served, one, uses[:6]), threads.submit(served, two, uses[3:8])]
        run(one, OTHER, JsonReporter(), last="attribute")
        for service in services:
            service.result()
    run(one, OTHER, JsonReporter(), last="value")
    with open_tables(lake, "queries") as tables:
        found = tables.execute("select query_id from queries where period = $1", [OTHER]).fetchall()
    assert Counter(name for (name,) in found) == Counter(use["query_id"] for use in uses)
    reports = [valuation_report(latest_valuation(*each)) for each in ((finished, PERIOD), (one, OTHER))]
    assert [report["queries"] for report in reports] == [len(uses)] * 2
    expected, totals = (
        {row["publisher_id"]: row["attribution_nats"] for row in each["publishers"]} for each in reports
    )
    assert totals == pytest.approx(expected, rel=1e-5)
