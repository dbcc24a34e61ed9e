"""`tribute explain` where the policy limits customers: the queries' parts sum to what the line is paid for."""

import json
import math
import shutil
from collections import Counter
from pathlib import Path

import pytest
import yaml

from tests.unit.jobs.commanding import tribute
from tribute.config import load_project
from tribute_jobs.period.statements import latest_statements
from tribute_jobs.pipeline import run
from tribute_jobs.progress import JsonReporter

MONTH = "2026-11"


@pytest.fixture(scope="module")
def attributed(finished_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A month in which one of two customers asked nine tenths of all, not yet valued."""
    folder = tmp_path_factory.mktemp("explaining") / "press"
    shutil.copytree(finished_folder, folder)
    path, usage = folder / "project.yaml", folder / "usage.jsonl"
    rows = [json.loads(line) for line in usage.read_text().splitlines()]
    weights = {"customer-0": 9.0, "customer-1": 1.0}
    moved = [r | {"time": r["time"].replace("2026-10", MONTH), "weight": weights[r["customer_id"]]} for r in rows]
    usage.write_text("".join(json.dumps(each) + "\n" for each in moved))
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | {"valuation": {"budget": 0}}))
    run(load_project(path), MONTH, JsonReporter(), last="attribute")
    return folder


@pytest.fixture(params=[pytest.param(None, marks=pytest.mark.slow), "3/5"], ids=["no cap", "a cap"])
def settled(request: pytest.FixtureRequest, attributed: Path, tmp_path: Path) -> Path:
    path = Path(shutil.copytree(attributed, tmp_path / "press")) / "project.yaml"
    policy = {} if request.param is None else {"policy": {"customer_cap": request.param}}
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | policy))
    run(load_project(path), MONTH, JsonReporter())
    return path


def test_the_queries_of_a_line_sum_to_its_attribution(settled: Path) -> None:
    [line, *_] = [
        line
        for statement in latest_statements(load_project(settled), MONTH)
        for line in statement.lines
        if line.split == "2/3"
    ]
    ran = tribute("explain", settled, line.line_id, "--json", "--customers")
    assert ran.code == 0, ran.text
    found = json.loads(ran.text)
    queries, cap = found["queries"], found["queries"]["customer_cap"]
    assert cap == found["statement"]["policy"]["customer_cap"]
    told = math.fsum(each["nats"] for each in queries["most"]) + queries["others_nats"]
    assert told == pytest.approx(found["valuation"]["attribution_nats"], abs=1e-6)
    assert told == pytest.approx(float(line.attribution_signed_nats), rel=1e-7)
    uses = {each["customer_id"]: each["uses"] for each in queries["most"]}
    assert uses == pytest.approx({"customer-0": 9.0 if cap is None else 1.5, "customer-1": 1.0})
    assert Counter(each["customer_id"] for each in queries["most"]).total() == 10
    text = tribute("explain", settled, line.line_id).text
    assert ("none stands for more than 3/5" in text) == (cap is not None)
