"""`project.yaml`: refused settings, and their error messages."""

from pathlib import Path

import pytest
import yaml

from tests.projects import settings
from tribute.config import SimulationSettings, load_project
from tribute.errors import ConfigError


def write(folder: Path, **sections: object) -> Path:
    path = folder / "project.yaml"
    path.write_text(yaml.safe_dump(settings(**sections)))
    return path


TRAK = {"attribution": {"method": "trak", "options": {"models": 2}}, "simulation": {"memory_gib": 3.0}}


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"trainin": {}}, "trainin: unknown key. Did you mean `training`?"),
        ({"training": {"learning_rte": 1}}, r"training.learning_rte: unknown key. Did you mean `learning_rate`?"),
        ({"corpus": {"kind": "text", "path": "a", "txt_column": "t"}}, "corpus.txt_column: .*`text_column`"),
        ({"queries": {"kind": "held_out", "persource": 3}}, "queries.persource: .*`per_source`"),
        ({"pool": {"amount": 12.5}}, "pool.amount: .*in quotes"),
        ({"pool": {"amount": "ten"}}, "pool.amount: .*not a decimal number"),
        ({"simulation": {"horizon": 1.5}}, "simulation.horizon: .*less than or equal to 1"),
        ({"corpus": {"kind": "tape"}}, "corpus: .*'tape'"),
        ({"valuation": {"shrinkage": 2.0}}, "shrinkage is 2.0. Set it to auto or a number from 0 to 1"),
        ({"name": "a/b"}, "name: "),
        ({**TRAK, "simulation": {"scope": "all", "horizon": 0.2}}, "horizon, scope would have no effect"),
        ({**TRAK, "simulation": {"mode": "paired"}}, "simulation.mode would have no effect"),
        ({"simulation": {"mode": "trak"}}, "write attribution: {method: trak}"),
        ({"calibration": {"estimates": [{"mode": "trak"}]}}, "For an estimator, write method: trak"),
        ({"attribution": {"methd": "trak"}}, "attribution.methd: unknown key. Did you mean `method`?"),
        ({"attribution": {"options": {"models": 2}}}, "options are for estimators"),
        ({"simulation": {"mode": "paired", "options": {"rank": 2}}}, "options are for estimators"),
        (
            {**TRAK, "readout": {"method": "jvp"}},
            "readout.method jvp is for simulations",
        ),
        ({"training": {"checkpoint": "model.safetensors"}}, "Set simulation.base to continue"),
    ],
)
def test_a_bad_setting_is_named_with_its_remedy(tmp_path: Path, sections: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_project(write(tmp_path, **sections))


@pytest.mark.parametrize(
    ("main", "keys", "found"),
    [
        (TRAK, {"mode": "paired"}, {"mode": "paired", "options": {}, "memory_gib": 3.0}),
        (TRAK, {"method": "for_value"}, {"mode": "for_value", "options": {}}),
        (TRAK, {"options": {"models": 3}}, {"mode": "trak", "options": {"models": 3}}),
        ({"simulation": {"horizon": 0.3, "chunk": 5}}, {"method": "trak"}, {"mode": "trak", "chunk": 5}),
        ({"simulation": {"horizon": 0.3}}, {"mode": "tangent"}, {"mode": "tangent", "horizon": 0.3}),
    ],
)
def test_a_further_estimate_takes_over_what_its_mode_understands(
    tmp_path: Path, main: dict, keys: dict, found: dict
) -> None:
    project = load_project(write(tmp_path, **main, calibration={"estimates": [keys]}))
    [further] = project.further_simulations()
    assert {name: getattr(further, name) for name in found} == found


def test_what_an_estimator_may_be_combined_with(tmp_path: Path) -> None:
    project = load_project(write(tmp_path, **TRAK))
    assert project.simulation == SimulationSettings(mode="trak", options={"models": 2}, memory_gib=3.0)
    load_project(write(tmp_path, **TRAK, training={"checkpoint": "model.safetensors"}))
    calibration = {"estimates": [{"mode": "paired"}]}
    load_project(write(tmp_path, **TRAK, calibration=calibration, readout={"method": "jvp"}))


def test_a_missing_or_broken_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"does not exist\. Write one with: tribute init"):
        load_project(tmp_path / "project.yaml")
    (tmp_path / "project.yaml").write_text("name: [")
    with pytest.raises(ConfigError, match="not valid YAML"):
        load_project(tmp_path / "project.yaml")


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    project = load_project(write(tmp_path))
    assert project.corpus.path == tmp_path / "corpus.jsonl"
    assert project.rights.sources == tmp_path / "sources.csv"
    assert project.lake_root == str(tmp_path / "tribute-data" / "lake")


def test_paths_are_relative_to_the_project_file(tmp_path: Path) -> None:
    path = write(tmp_path, training={"replicates": 2, "recordings": ["rec-0", "/abs/rec-1"]})
    project = load_project(path)
    assert project.training.recordings == (tmp_path / "rec-0", Path("/abs/rec-1"))
    assert project.workdir == tmp_path / "tribute-data"
