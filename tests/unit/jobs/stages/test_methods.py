"""What a certificate says to write where an estimate is better than the values paid by."""

from pathlib import Path

import pytest
import yaml

from tests.projects import settings
from tribute.config import Project, load_project
from tribute_jobs.stages.methods import described, more_trainings, unweighed


def project(folder: Path, **sections: object) -> Project:
    path = folder / "project.yaml"
    path.write_text(yaml.safe_dump(settings(**sections)))
    return load_project(path)


def followed(tmp_path: Path, advice: str) -> Project:
    """The project after the line that stands in an advice was written."""
    line = yaml.safe_load(advice[advice.index(": ") + 2 :])
    return project(tmp_path, **line)


def test_an_estimator_is_added_to_the_estimates_that_there_are(tmp_path: Path) -> None:
    before = project(tmp_path, valuation={"budget": 9, "estimates": [{"mode": "paired", "horizon": 0.5}]})
    advice = unweighed(before, "ekfac")
    assert advice == (
        "Let the values weigh it: "
        "valuation: {budget: 9, estimates: [{horizon: 0.5, mode: paired}, {method: ekfac}]}"
    )
    after = followed(tmp_path, advice)
    assert after.valuation.budget == 9
    assert [each.mode for each in after.further_simulations()] == ["paired", "ekfac"]


def test_more_trainings_are_not_stopped_by_the_precision(tmp_path: Path) -> None:
    advice = more_trainings(project(tmp_path, valuation={"precision": 0.05, "seed": 3}), 40)
    assert advice == ("The values weigh it already. More trainings tell how far: valuation: {budget: 40, seed: 3}")
    after = followed(tmp_path, advice).valuation
    assert (after.precision, after.budget, after.seed) == (None, 40, 3)


def test_semivalues_learn_from_neither(tmp_path: Path) -> None:
    semivalues = project(tmp_path, simulation={"notion": "banzhaf"})
    assert more_trainings(semivalues, 40) is None
    assert "attribution: {method: ekfac}" in unweighed(semivalues, "ekfac")


@pytest.mark.parametrize(
    ("keys", "title"),
    [
        ({"mode": "ekfac"}, "ekfac"),
        ({"mode": "ekfac", "options": {"damping": 0.1, "rows": 8}}, "ekfac, damping 0.1, rows 8"),
        ({"mode": "paired", "horizon": 0.5}, "paired, horizon 0.5"),
        ({"horizon": 0.5}, "paired, horizon 0.5"),
    ],
)
def test_an_estimate_is_named_with_what_it_says_of_its_own(keys: dict, title: str) -> None:
    assert described(keys.get("mode", "paired"), keys) == title


def test_what_is_weighed_by_default_stays_weighed(tmp_path: Path) -> None:
    advice = unweighed(project(tmp_path, valuation={"budget": 9}), "ekfac")
    assert advice.endswith("valuation: {budget: 9, estimates: [{method: nearest}, {method: ekfac}]}")
    assert [each.mode for each in followed(tmp_path, advice).further_simulations()] == ["nearest", "ekfac"]
