"""A small project whose months can be closed, copied and changed."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import yaml

from tests.e2e.tables import fingerprints
from tests.projects import SOURCES_CSV, settings, write_project, write_usage
from tribute.config import Project, load_project
from tribute.royalty.proof import new_key
from tribute_jobs.pipeline import Outcome, run
from tribute_jobs.progress import JsonReporter

FIRST, SECOND, EARLIER = "2026-10", "2026-11", "2026-09"
REASON = "Kitchen's contract of 2025 was overlooked"
AGREEMENTS = """publisher_id,currency,rate,advance,advance_period,payout_threshold,reserve_rate,reserve_months
planet,EUR,7/8,200.00,2026-10,,,
kitchen,EUR,,,,5000.00,,
arena,EUR,,,,,0.1,1
planet,JPY,1/2,,,,,
"""
"""An advance, an account that grows, a reserve, and half of the yen."""


def prepare(folder: Path) -> Project:
    """Two settled months, in euros and yen; a third month's usage is there, and not run."""
    pools = [
        {"id": "answers", "amount": "1000.01", "currency": "EUR", "deductions": {"fees": "100.00"}, "rate": "1/2"},
        {"id": "licences", "amount": "33.00", "currency": "EUR"},
        {"id": "tokyo", "amount": "50001", "currency": "JPY"},
    ]
    path = write_project(folder)
    own = {"rights": {"sources": "sources.csv", "agreements": "agreements.csv"}, "pools": pools}
    written = settings(**own, money={"signing_key": "key.pem"})
    del written["pool"]
    path.write_text(yaml.safe_dump(written))
    (folder / "agreements.csv").write_text(AGREEMENTS)
    (folder / "key.pem").write_text(new_key()[0])
    usage = [
        row | {"query_id": f"{row['query_id']}-{month}"}
        for month in (EARLIER, FIRST, SECOND)
        for row in write_usage(folder / "usage.jsonl", month)
    ]
    (folder / "usage.jsonl").write_text("".join(json.dumps(row) + "\n" for row in usage))
    for month in (FIRST, SECOND):
        work(load_project(path), month)
    return load_project(path)


def work(project: Project, period: str, last: str = "settle", reason: str = "") -> Outcome:
    """Run the stages up to one."""
    return run(project, period, JsonReporter(), last, reason)


def copied(project: Project, folder: Path) -> Project:
    """The same project with all it made, elsewhere."""
    shutil.copytree(project.workdir.parent, folder)
    return load_project(folder / "project.yaml")


def change_rights(project: Project) -> None:
    """Of the recipes, Kitchen gets two thirds instead of one."""
    rows = SOURCES_CSV.replace("kitchen,1/3", "kitchen,2/3").replace("recipes,planet,2/3", "recipes,planet,1/3")
    (project.workdir.parent / "sources.csv").write_text(rows)


def everything(project: Project) -> tuple[dict[str, Any], dict[str, str]]:
    """Every table of the lake and every file of the statements, as hashes."""
    folder = project.workdir / "statements"
    files = {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(".")  # what a killed process left of a file is hidden
    }
    return fingerprints(project.lake_root), files
