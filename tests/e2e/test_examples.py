"""`tribute estimators` and `tribute examples` on a finished project."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from tests.e2e.conftest import PERIOD
from tests.unit.jobs.commanding import tribute
from tribute.catalog import lineage
from tribute.config import load_project
from tribute.estimators import ESTIMATORS


@pytest.fixture
def project_file(finished_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished_folder, tmp_path / "press")) / "project.yaml"


def test_every_estimator_is_listed_with_its_options() -> None:
    ran = tribute("estimators", "--json")
    known = {each["name"]: each for each in json.loads(ran.text)}
    assert known.keys() == ESTIMATORS.keys()
    assert known["ekfac"]["options"]["damping"] == 1.0
    assert all(each["about"].endswith(".") for each in known.values())


@pytest.mark.parametrize("estimator", ["trackstar", "for_value"])
def test_the_examples_behind_an_answer(project_file: Path, estimator: str) -> None:
    asked = ("examples", project_file, "--query", "q001", "--source", "sports", "--period", PERIOD, "--count", "3")
    asked += ("--estimator", estimator)
    found = json.loads(tribute(*asked, "--json").text)
    assert [each["influence"] for each in found] == sorted((e["influence"] for e in found), reverse=True)
    assert len({each["example"] for each in found}) == 3
    assert json.loads(tribute(*asked, "--json").text) == found  # from what was fitted before
    text = tribute(*asked).text
    assert all(f"{each['influence']:.4g}" in text for each in found)


def test_the_estimator_that_is_paid_by_has_the_options_of_the_project(project_file: Path) -> None:
    text, paid_by = project_file.read_text(), {"method": "trackstar", "options": {"rank": 4}}
    asked = ("examples", project_file, "--query", "q001", "--source", "sports", "--period", PERIOD, "--json")
    usual = json.loads(tribute(*asked).text)
    project_file.write_text(yaml.safe_dump(yaml.safe_load(text) | {"attribution": paid_by, "simulation": {}}))
    own = json.loads(tribute(*asked).text)
    assert [each["influence"] for each in own] != [each["influence"] for each in usual]
    project = load_project(project_file)
    assert (project.artifacts / lineage(project).simulate_run / "replicate-0" / "fitted.safetensors").is_file()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"--query": "q999"}, "has no query 'q999'"),
        ({"--source": "nobody"}, "There is no source 'nobody'. There are: daily"),
        ({"--estimator": "magic"}, "Estimator 'magic' is unknown"),
    ],
)
def test_what_is_not_there_is_told(project_file: Path, changed: dict[str, str], message: str) -> None:
    asked = {"--query": "q001", "--source": "sports", "--period": PERIOD} | changed
    ran = tribute("examples", project_file, *(part for pair in asked.items() for part in pair))
    assert ran.code == 2
    assert message in ran.text
