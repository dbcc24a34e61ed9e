"""`tribute evaluate` on a small real project: the bank, the certificate, MLflow, and statements that name it."""

import hashlib
import json
from pathlib import Path

import mlflow
import pytest
import yaml

from tests.e2e.conftest import PERIOD
from tests.e2e.modes import Listener
from tests.projects import RETRAINED, settings, write_project
from tribute.catalog import estimator_run
from tribute.config import Project, load_project
from tribute.errors import ConfigError, TributeError
from tribute.tracking import tracking_uri
from tribute_jobs.pipeline import run
from tribute_jobs.progress import JsonReporter
from tribute_storage import open_tables

EVALUATION = {"seeds": 2, "subsets": 10, "brittle_queries": 2, "resamples": 100}
JUDGED = {"estimators": ["gradient_dot", "for_value", "nearest", "patches"]}
WEIGHED = [{"method": "gradient_dot"}, {"method": "conjugate_gradient", "options": {"iterations": 2}}]


def write(folder: Path, **sections: object) -> Path:
    """Queries enough to tune and to judge, and few retrains."""
    own = {
        "corpus": {"kind": "text", "path": "corpus.jsonl", "window": 33, "held_out": 0.25},
        "evaluation": EVALUATION,
        "training": settings()["training"] | {"epochs": 1},
        "queries": {"kind": "held_out", "per_source": 8},
    }
    return write_project(folder, **(own | sections))


def evaluated(path: Path) -> tuple[Project, str, bool]:
    project = load_project(path)
    output = run(project, PERIOD, JsonReporter(), last="evaluate").outputs["evaluate"]
    return project, output.run_id, output.new


def figures(project: Project, run_id: str) -> dict:
    with open_tables(project.lake_root) as lake:
        [(content,)] = lake.execute("select json from certificates where run_id = $1", [run_id]).fetchall()
    return json.loads(content)


def copied_with(once: tuple[Project, str], **sections: object) -> Path:
    """Other settings for the same working folder, which holds the training and the bank of retrains."""
    path = once[0].workdir.parent / "project.yaml"
    other = path.with_name("other.yaml")
    other.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | sections))
    return other


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory, ray_cluster: None) -> tuple[Project, str]:  # noqa: ARG001
    sections = {"tracking": {"enabled": True}, "evaluation": EVALUATION | JUDGED}
    sections["valuation"] = RETRAINED | {"estimates": WEIGHED}
    path = write(tmp_path_factory.mktemp("evaluated"), **sections)
    project, run_id, new = evaluated(path)
    assert new
    return project, run_id


def test_every_method_is_judged_beside_the_baselines(once: tuple[Project, str]) -> None:
    found = figures(*once)
    rows = {row["method"]: row for row in found["rows"]}
    expected = {"tribute, as paid", "equal", "token count", "source match", "distilled, the head alone"}
    expected |= {f"{name}, 2 replicates" for name in ("difference", "jvp", "adjoint")} | {
        "difference, 1 replicate"
    }
    expected |= {f"{name}, 2 replicates" for name in ("gradient_dot", "for_value")}  # patches: no images here
    expected.add("conjugate_gradient, iterations 2, 2 replicates")  # the values weigh it, and gradient_dot
    expected.add("nearest, 1 replicate")  # knows no model, so that others would say the same
    assert expected == set(rows)
    assert all(rows[f"{name}, 2 replicates"]["prepare_in_trainings"] > 0 for name in ("gradient_dot", "for_value"))
    assert rows["gradient_dot, 2 replicates"]["query_in_forwards"] > 0
    kept = {name: rows[f"difference, {name}"]["stored_bytes"] for name in ("1 replicate", "2 replicates")}
    assert kept["2 replicates"] == 2 * kept["1 replicate"] > 0
    assert rows["gradient_dot, 2 replicates"]["stored_bytes"] > 0 and rows["token count"]["stored_bytes"] == 0
    alone = rows["difference, 2 replicates"]["prepare_in_trainings"] + 3  # trainings without sources
    assert rows["tribute, as paid"]["prepare_in_trainings"] > alone
    forward, backward = rows["jvp, 2 replicates"], rows["adjoint, 2 replicates"]
    assert forward["leave_source_out"]["value"] == pytest.approx(backward["leave_source_out"]["value"], abs=0.02)
    assert forward["misallocated_pool"] == pytest.approx(backward["misallocated_pool"], abs=1e-3)
    for row in rows.values():
        assert 0 <= row["misallocated_pool"] <= 1
        assert row["lds_half_same_seed"] is None or -1 <= row["lds_half_same_seed"]["value"] <= 1
    assert found["retrains"]["new"] > 0
    assert {each["removed"] for each in found["brittleness"]} == {1, 2}
    assert found["queries"]["tuning"] + found["queries"]["figures"] <= 32


def test_a_project_that_is_paid_by_an_estimator_is_judged(tmp_path: Path, ray_cluster: None) -> None:  # noqa: ARG001
    small = EVALUATION | {"seeds": 1, "brittle_queries": 0, "estimators": ["nearest"]}
    own = {"attribution": {"method": "for_value"}, "simulation": {"groups": 2}, "valuation": RETRAINED}
    path = write(tmp_path, **own, evaluation=small)
    with pytest.raises(ConfigError, match=r"each of 4 sources, 8 trainings in all.*simulation.groups \(2\) to 4"):
        evaluated(path)
    assert list(load_project(path).artifacts.glob("retrains-*")) == []
    path.write_text(path.read_text().replace("groups: 2", "groups: 4"))
    project, run_id, _ = evaluated(path)
    found = figures(project, run_id)
    rows = {row["method"]: row for row in found["rows"]}
    expected = {"tribute, as paid", "for_value, 2 replicates", "nearest, 1 replicate"}
    assert rows.keys() == expected | {"equal", "token count", "source match"}
    assert found["read_out"] == "for_value, 2 replicates"
    assert rows["for_value, 2 replicates"]["query_in_forwards"] > 0
    assert rows["tribute, as paid"]["prepare_in_trainings"] > 3  # of which 3 trainings without sources
    assert found["effects"] == []  # not in nats


@pytest.mark.parametrize("asked", [["magic"], ["", "trak", "magic"]])
def test_an_estimator_that_nobody_knows_is_refused_before_any_work(tmp_path: Path, asked: list[str]) -> None:
    project = load_project(write(tmp_path, evaluation=EVALUATION | {"estimators": asked}))
    with pytest.raises(ConfigError, match=r"evaluation.estimators \(--estimators\) names 'magic', which is no"):
        run(project, PERIOD, JsonReporter(), last="evaluate")
    assert not project.workdir.exists()


def test_the_table_says_what_the_certificate_says(once: tuple[Project, str]) -> None:
    project, run_id = once
    rows = {row["method"]: row for row in figures(*once)["rows"]}
    with open_tables(project.lake_root) as lake:
        found = lake.execute(
            "select method, value, ci_low, ci_high from evaluations where run_id = $1 and metric = $2",
            [run_id, "lds_half_other_seed"],
        ).fetchall()
    assert len(found) > 5
    for method, *values in found:
        figure = rows[method]["lds_half_other_seed"]
        assert values == [figure["value"], figure["low"], figure["high"]]


def test_a_second_evaluation_changes_nothing_and_retrains_nothing(once: tuple[Project, str]) -> None:
    project, run_id = once
    [page] = (project.workdir / "certificates").glob("*.html")
    before = page.read_bytes()
    page.unlink()
    assert evaluated(project.workdir.parent / "project.yaml")[1:] == (run_id, False)
    assert page.read_bytes() == before  # written again from the lake
    with open_tables(project.lake_root) as lake:
        [(sha256,)] = lake.execute("select sha256 from certificates").fetchall()
    assert sha256 == hashlib.sha256(before).hexdigest()


@pytest.mark.slow
def test_the_bank_serves_another_simulation_of_the_same_training(once: tuple[Project, str]) -> None:
    simulation = settings()["simulation"] | {"horizon": 0.5}
    small = EVALUATION | {"seeds": 1, "estimators": ["nearest"]}
    [bank] = once[0].artifacts.glob("retrains-*")
    kept = {path: path.read_bytes() for path in bank.rglob("*.safetensors")}
    for path in kept:
        path.unlink()  # all that is needed is made again, in the batches that it was made in
    project, run_id, new = evaluated(copied_with(once, simulation=simulation, evaluation=small))
    retrains = figures(project, run_id)["retrains"]
    assert new and run_id != once[1]
    assert retrains["new"] <= 4  # brittle sets follow the simulation's own ranking
    assert retrains["banked"] >= 20
    again = [path for path in kept if path.exists()]
    assert len(again) >= 20 and [path for path in again if path.read_bytes() != kept[path]] == []
    assert figures(project, run_id)["headline"]["ceiling"] is None  # one seed cannot be judged by another


def test_the_certificate_is_in_the_valuation_s_run_and_on_every_statement(once: tuple[Project, str]) -> None:
    project, run_id = once
    run(project, PERIOD, JsonReporter())
    with open_tables(project.lake_root) as lake:
        statements = [json.loads(row[0]) for row in lake.execute("select json from statements").fetchall()]
        [(value_run,)] = lake.execute("select distinct value_run from statements").fetchall()
    assert {each["quality_certificate"]["certificate_id"] for each in statements} == {run_id}
    page = next((project.workdir / "statements").glob(f"*/{statements[0]['publisher_id']}.html")).read_text()
    assert run_id in page
    mlflow.set_tracking_uri(tracking_uri(project))
    [tracked] = mlflow.search_runs(
        search_all_experiments=True,
        filter_string=f"tags.`tribute.run_id` = '{value_run}'",
        output_format="list",
    )
    assert tracked.data.metrics["misallocated_pool"] == pytest.approx(
        figures(*once)["headline"]["misallocated_pool"]
    )
    names = {each.path for each in mlflow.MlflowClient().list_artifacts(tracked.info.run_id)}
    assert {"certificate.html", "evaluation.json"} <= names


def test_statements_of_a_simulation_that_was_not_judged_say_so(finished: Project) -> None:
    with open_tables(finished.lake_root) as lake:
        [(content,)] = lake.execute("select json from statements limit 1").fetchall()
    assert json.loads(content)["quality_certificate"] is None


@pytest.mark.parametrize(
    ("simulation", "payees"),
    [
        ({"notion": "banzhaf", "coalitions": 8, "horizon": 0.3}, 3),
        pytest.param({"groups": 2, "horizon": 0.3}, 2, marks=pytest.mark.slow),
    ],
)
def test_coalitions_and_groups_are_judged_too(once: tuple[Project, str], simulation: dict, payees: int) -> None:
    small = EVALUATION | {"seeds": 1, "brittle_queries": 0, "estimators": ["for_value"]}
    sections = {"simulation": simulation, "valuation": RETRAINED, "evaluation": small}
    project, run_id, _ = evaluated(copied_with(once, **sections))
    found = figures(project, run_id)
    assert found["payees"] == payees  # publishers, or the groups themselves
    assert found["brittleness"] == []
    assert "for_value, 2 replicates" in {row["method"] for row in found["rows"]}  # of sources, added up
    assert all(0 <= row["misallocated_pool"] <= 1 for row in found["rows"])


def test_recordings_that_are_not_there_are_refused_before_any_work(
    tmp_path: Path, once: tuple[Project, str]
) -> None:
    project = once[0].model_copy(update={"workdir": tmp_path})
    training = project.training.model_copy(update={"recordings": (tmp_path / "a", tmp_path / "b")})
    with pytest.raises(TributeError, match="a holds no recorded training"):
        run(project.model_copy(update={"training": training}), PERIOD, JsonReporter(), last="evaluate")
    assert list(tmp_path.iterdir()) == []


def test_too_few_queries_are_refused_before_any_retraining(finished: Project) -> None:
    before = {path for folder in finished.artifacts.glob("retrains-*") for path in folder.rglob("*")}
    with pytest.raises(ConfigError, match="needs 20"):
        evaluated(finished.workdir.parent / "project.yaml")
    after = {path for folder in finished.artifacts.glob("retrains-*") for path in folder.rglob("*")}
    assert after == before


@pytest.mark.slow
def test_an_estimator_that_fails_late_costs_its_own_row_alone(once: tuple[Project, str]) -> None:
    late = EVALUATION | {"seeds": 1, "brittle_queries": 0, "estimators": ["gradient_dot", "for_value"]}
    project = load_project(copied_with(once, evaluation=late, valuation=RETRAINED))
    run_id = estimator_run(project, "gradient_dot").run_id
    file = next((project.artifacts / run_id).glob("replicate-0/units-*.safetensors"))
    kept = file.read_bytes()
    file.unlink()
    listener = Listener()
    try:
        output = run(project, PERIOD, listener, last="evaluate").outputs["evaluate"]
    finally:
        file.write_bytes(kept)
    assert any("gradient_dot was not evaluated" in each and "is missing" in each for each in listener.warnings)
    methods = {row["method"] for row in figures(project, output.run_id)["rows"]}
    assert "for_value, 2 replicates" in methods
    assert "gradient_dot, 2 replicates" not in methods
