"""The Python API and the command line give the same shares, to the last digit."""

import json
from fractions import Fraction
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

import tribute
from tests.digits import digits
from tests.projects import settings
from tribute.config import Project, load_project
from tribute_jobs.pipeline import run
from tribute_jobs.progress import JsonReporter
from tribute_storage import open_tables

PERIOD = "2026-10"
BY_SOURCE = digits({"daily": 120, "recipes": 60, "sports": 90, "weather": 40, "zoo": 30})
QUERIES = digits({"queries": 60}, first=1400)["queries"]
TRAINING = {"optimizer": "sgd", "learning_rate": 0.1, "batch_size": 16, "epochs": 3, "replicates": 2}


def write_project(folder: Path, valuation: dict[str, object]) -> Project:
    """The same arrays and settings as a project."""
    folder.mkdir()
    columns = {"source": [], "features": [], "label": []}
    for source, held in BY_SOURCE.items():
        columns["source"] += [source] * len(held["labels"])
        columns["features"] += held["features"].tolist()
        columns["label"] += held["labels"].tolist()
    pq.write_table(pa.table(columns), folder / "corpus.parquet")
    rows = [
        {"query_id": f"{index:06d}", "period": PERIOD, "features": features.tolist(), "label": int(label)}
        for index, (features, label) in enumerate(zip(*QUERIES.values(), strict=True))
    ]
    (folder / "usage.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    sections = settings(
        corpus={"kind": "arrays", "path": "corpus.parquet", "held_out": 0, "duplicates": {"credit": "off"}},
        rights={},
        task={"name": "classifier", "options": {"features": 64, "hidden": [16]}},
        training=TRAINING,
        simulation={"horizon": 0.3},
        valuation=valuation,
        cluster={"workers": 1},
    )
    (folder / "project.yaml").write_text(yaml.safe_dump(sections))
    return load_project(folder / "project.yaml")


def test_the_same_shares_as_the_command_line(tmp_path: Path) -> None:
    study = tribute.Study(
        tribute.Classifier(features=64, hidden=(16,)),
        BY_SOURCE,
        training=tribute.TrainingSettings(**TRAINING),
        simulation=tribute.SimulationSettings(horizon=0.3),
    )
    study.train()
    influence = study.attribute(QUERIES)
    project = write_project(tmp_path / "project", {"budget": 3})
    for asked in ({"budget": 3}, {"precision": 0.1, "budget": 9}):
        values = study.value(influence, **asked)
        valuation = project.valuation.model_copy(update={"precision": None} | asked)
        paid = paid_by_command_line(project.model_copy(update={"valuation": valuation}))
        assert 3 <= values.cost.retrains == len(values.calibration["trainings"])
        assert values.shares().exact == paid


def paid_by_command_line(project: Project) -> dict[str, Fraction]:
    """Shares by `tribute run`."""
    value_run = run(project, PERIOD, JsonReporter(), "value").outputs["value"].run_id
    with open_tables(project.lake_root) as lake:
        paid = lake.execute(
            "select publisher_id, share from valuations where run_id = $1 and level = 'publisher'", [value_run]
        ).fetchall()
    return {publisher: Fraction(share) for publisher, share in paid}
