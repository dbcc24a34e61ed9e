"""`project.yaml`: refused settings, and their error messages."""

from decimal import Decimal
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.projects import settings
from tribute.config import SimulationSettings, load_project
from tribute.config.valuation import ValuationSettings
from tribute.errors import ConfigError


def write(folder: Path, **sections: object) -> Path:
    path = folder / "project.yaml"
    path.write_text(yaml.safe_dump(settings(**sections)))
    return path


TRAK = {"attribution": {"method": "trak", "options": {"models": 2}}, "simulation": {"memory_gib": 3.0}}


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"trainin": {}}, "trainin: unknown key. Did you mean training?"),
        ({"training": {"learning_rte": 1}}, r"training.learning_rte: unknown key. Did you mean learning_rate?"),
        (
            {"corpus": {"kind": "text", "path": "a", "txt_column": "t"}},
            "corpus.txt_column: .*Did you mean text_column?",
        ),
        ({"queries": {"kind": "held_out", "persource": 3}}, "queries.persource: .*Did you mean per_source?"),
        ({"pool": {"amount": 12.5}}, "pool.amount: .*in quotes"),
        ({"pool": {"amount": "ten"}}, "pool.amount: .*not a decimal number"),
        ({"pools": [{"amont": "5"}]}, "pools.0.amont: unknown key. Did you mean amount?"),
        ({"serving": {"port": "8000"}}, 'serving.port: Input should be a valid integer, got "8000"'),
        ({"training": {"nesterov": 1}}, "training.nesterov: Input should be a valid boolean, got 1"),
        ({"training": {"seed": True}}, "training.seed: Input should be a valid integer, got true"),
        ({"training": {"batch_size": 8.0}}, "training.batch_size: .*got 8.0"),
        ({"money": {"alarms": {"jump": 0.25}}}, "money.alarms: .*binary number. Write it in quotes"),
        ({"queries": {"kind": "usage", "path": 5}}, "queries.path.0: .*got 5"),
        ({"queries": {"kind": "usage", "path": []}}, "queries.path: .*at least 1 item"),
        ({"simulation": {"horizon": 1.5}}, "simulation.horizon: .*less than or equal to 1"),
        ({"corpus": {"kind": "tape"}}, "corpus.kind: 'tape' is none of 'installed_docs', 'text'"),
        ({"valuation": {"shrinkage": 2.0}}, "valuation: shrinkage is no setting any more.* Remove it"),
        ({"valuation": {"precision": None, "budget": None}}, "both empty. Give one; budget: 0 trains nothing"),
        ({"valuation": {"precision": 5.0}}, "valuation.precision: .*less than 1"),
        (
            {"calibration": {"spot_sources": 4, "seed": 1}},
            r"write valuation: \{budget: 8, seed: \(as it was\)\}, or valuation: \{precision: 0.05\}",
        ),
        ({"calibration": None}, r"write valuation: \{budget: 8\}"),
        ({"name": "a/b"}, 'name: "a/b" must be of letters, digits'),
        ({"workdir": "project.yaml"}, "workdir: .*project.yaml is a file. Name a folder"),
        ({"workdir": "project.yaml/deep/er"}, "workdir: .*project.yaml is a file. Name a folder"),
        ({"lake": "project.yaml"}, "lake: .*project.yaml is a file. Name a folder"),
        ({"pools": [{"id": "a"}]}, "\n  give pool or pools, not both"),
        ({"pool": {"amount": "9" * 20}}, "pool.amount: .*of at most 19 digits and 4 decimals"),
        ({"name": "n" * 101}, "name: .*at most 100"),
        ({"pools": []}, "pools is empty. List a pool"),
        ({**TRAK, "simulation": {"scope": "all", "horizon": 0.2}}, "horizon, scope would have no effect"),
        ({**TRAK, "simulation": {"mode": "paired"}}, "simulation.mode would have no effect"),
        ({"simulation": {"mode": "trak"}}, "write attribution: {method: trak}"),
        ({"valuation": {"estimates": [{"mode": "trak"}]}}, "For an estimator, write method: trak"),
        ({"attribution": {"methd": "trak"}}, "attribution.methd: unknown key. Did you mean method?"),
        ({"attribution": {"options": {"models": 2}}}, "options are for estimators"),
        ({"simulation": {"mode": "paired", "options": {"rank": 2}}}, "options are for estimators"),
        (
            {**TRAK, "readout": {"method": "jvp"}},
            "readout.method jvp is for simulations",
        ),
        ({"training": {"checkpoint": "model.safetensors"}}, "Set simulation.base to continue"),
        (
            {
                "training": {"checkpoint": "model.safetensors"},
                "attribution": {"method": "trak"},
                "simulation": {},
                "valuation": {"estimates": [{"mode": "paired"}]},
            },
            "Set simulation.base to continue",
        ),
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
    project = load_project(write(tmp_path, **main, valuation={"estimates": [keys]}))
    [further] = project.further_simulations()
    assert {name: getattr(further, name) for name in found} == found


@pytest.mark.parametrize(
    ("sections", "modes"),
    [
        ({"valuation": {}}, ["nearest"]),
        ({"valuation": {"precision": 0.1}}, ["nearest"]),
        ({"valuation": {"estimates": None}}, ["nearest"]),
        (TRAK | {"valuation": {}}, ["nearest"]),
        ({"valuation": {"estimates": []}}, []),
        ({"valuation": {"budget": 0}}, []),
        ({"attribution": {"method": "nearest"}, "simulation": {}}, []),
        ({"simulation": {"notion": "shapley"}}, []),
        (
            {"training": {"checkpoint": "m"}, "simulation": {"base": "continue"}, "valuation": {"budget": 9}},
            ["nearest"],
        ),
        ({"valuation": {"budget": 0, "estimates": [{"method": "ekfac"}]}}, ["ekfac"]),
    ],
)
def test_nearest_neighbours_are_weighed_wherever_trainings_can(
    tmp_path: Path, sections: dict, modes: list[str]
) -> None:
    project = load_project(write(tmp_path, **sections))
    assert [each.mode for each in project.further_simulations()] == modes


def with_line(folder: Path, section: str, line: str) -> Path:
    """A project.yaml with a line as a person wrote it, in place of the section."""
    sections = {name: each for name, each in settings().items() if name != section}
    path = folder / "project.yaml"
    path.write_text(f"{yaml.safe_dump(sections)}{section}:\n  {line}\n", encoding="utf-8")
    return path


NUMBERS = st.from_regex(r"\A[0-9]{1,12}(\.[0-9]{1,2})?\Z")
ODD = st.text("0123456789_.,:+-eExob' ", min_size=1, max_size=12)


@given(NUMBERS | ODD)
def test_an_amount_is_as_written_or_refused(tmp_path_factory: pytest.TempPathFactory, written: str) -> None:
    path = with_line(tmp_path_factory.mktemp("p"), "pool", f"amount: {written}")
    try:
        amount = load_project(path).pool.amount
    except ConfigError:
        return
    assert Decimal(amount) == Decimal(written.split(" #")[0].strip().strip("'"))
    assert "_" not in written
    assert "e" not in written.casefold()


@pytest.mark.parametrize("written", ["010000", "0010", "90000", "'1000.00'", "012.50"])
def test_an_amount_with_zeros_in_front_is_decimal(tmp_path: Path, written: str) -> None:
    project = load_project(with_line(tmp_path, "pool", f"amount: {written}"))
    assert Decimal(project.pool.amount) == Decimal(written.strip("'"))


@pytest.mark.parametrize(
    "written",
    ["190:30", "1_000", "1e3", "0x10", "1,000", "1,000.00", "'1 000'", "on", "2026-10-01", "+5", "-5", ".5", "5.",
     "NaN", "12.5", "１２"],
)  # fmt: skip
def test_an_amount_in_another_writing_is_refused(tmp_path: Path, written: str) -> None:
    for section, key in (("pool", "amount"), ("pool", "rate")):
        with pytest.raises(ConfigError, match=rf"pool.{key}|line"):
            load_project(with_line(tmp_path, section, f"{key}: {written}"))


@pytest.mark.parametrize(
    "written", ["010", "1_000", "12:30", "on", "yes", "2026-10-01", "0x10", "'5'", "1e400", ".inf"]
)
@pytest.mark.parametrize("key", ["seed", "learning_rate", "nesterov"])
def test_a_number_or_truth_value_in_another_writing_is_refused(tmp_path: Path, key: str, written: str) -> None:
    with pytest.raises(ConfigError, match=rf"training.{key}|line"):
        load_project(with_line(tmp_path, "training", f"{key}: {written}"))


@pytest.mark.parametrize("written", ["0123", "12:30", "no", "1_0", "2026-10-01"])
def test_a_name_is_as_written(tmp_path: Path, written: str) -> None:
    path = with_line(tmp_path, "corpus", f"kind: text\n  path: {written}\n  source_column: {written}")
    corpus = load_project(path).corpus
    assert (corpus.path.name, corpus.source_column) == (written, written)


def test_a_section_that_stands_twice_is_refused_by_both_lines(tmp_path: Path) -> None:
    path = tmp_path / "project.yaml"
    path.write_text("pool:\n  amount: '90000.00'\n# of last year\npool:\n  amount: '1000.00'\n")
    with pytest.raises(ConfigError, match=r"line 4: the key pool stands in line 1 already"):
        load_project(path)


def test_utf_16_is_read_and_cp1252_refused(tmp_path: Path) -> None:
    path = write(tmp_path)
    text = path.read_text() + "# für Köln\n"
    path.write_bytes(text.encode("utf-16"))
    assert load_project(path).name == settings()["name"]
    path.write_bytes(text.encode("cp1252"))
    with pytest.raises(ConfigError, match=r"byte 0xfc is not UTF-8. Save it as UTF-8"):
        load_project(path)


def test_several_usage_files_and_patterns(tmp_path: Path) -> None:
    project = load_project(write(tmp_path, queries={"kind": "usage", "path": ["a.jsonl", "days/*.jsonl.gz"]}))
    assert project.queries.path == (tmp_path / "a.jsonl", tmp_path / "days/*.jsonl.gz")
    assert load_project(write(tmp_path, queries={"kind": "usage", "path": "a"})).queries.path == (tmp_path / "a",)


def test_what_an_estimator_may_be_combined_with(tmp_path: Path) -> None:
    project = load_project(write(tmp_path, **TRAK))
    assert project.simulation == SimulationSettings(mode="trak", options={"models": 2}, memory_gib=3.0)
    load_project(write(tmp_path, **TRAK, training={"checkpoint": "model.safetensors"}))
    valuation = {"estimates": [{"mode": "paired"}]}
    load_project(write(tmp_path, **TRAK, valuation=valuation, readout={"method": "jvp"}))


@pytest.mark.parametrize(
    ("keys", "precision", "budget"),
    [
        ({}, 0.05, 20),
        ({"budget": 7}, None, 7),
        ({"budget": 0}, None, 0),
        ({"precision": 0.02}, 0.02, None),
        ({"precision": 0.02, "budget": 60}, 0.02, 60),
        ({"precision": None, "budget": 7}, None, 7),
    ],
)
def test_what_is_not_asked_for_sets_no_limit(
    tmp_path: Path, keys: dict, precision: float | None, budget: int | None
) -> None:
    found = load_project(write(tmp_path, valuation=keys)).valuation
    assert (found.precision, found.budget) == (precision, budget)


@pytest.mark.parametrize(
    ("keys", "changed", "line"),
    [
        ({}, {"estimates": [{"mode": "trak"}]}, "valuation: {estimates: [{method: trak}]}"),
        ({"precision": 0.05}, {"seed": 2}, "valuation: {precision: 0.05, seed: 2}"),
        ({"precision": 0.05}, {"precision": None, "budget": 40}, "valuation: {budget: 40}"),
        (
            {"budget": 9, "estimates": [{"mode": "paired", "horizon": 0.5}]},
            {},
            "valuation: {budget: 9, estimates: [{mode: paired, horizon: 0.5}]}",
        ),
    ],
)
def test_a_section_can_be_written_on_one_line(keys: dict, changed: dict, line: str) -> None:
    """The line says the same as the section, but for what is changed."""
    own = ValuationSettings(**keys)
    assert own.line(**changed) == line
    assert ValuationSettings(**yaml.safe_load(line)["valuation"]) == own.model_copy(
        update=changed | ({"estimates": tuple(changed["estimates"])} if "estimates" in changed else {})
    )


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


@pytest.mark.parametrize("address", ["hf://datasets/a/b", "s3://bucket/c.jsonl", "https://x.org/c", "hf:/a"])
def test_an_address_in_place_of_a_file_is_told(tmp_path: Path, address: str) -> None:
    for sections in (
        {"corpus": {"kind": "text", "path": address}},
        {"queries": {"kind": "usage", "path": [address]}},
        {"rights": {"sources": address}},
    ):
        with pytest.raises(ConfigError, match=f"'{address}', an address. Only files of this machine are read"):
            load_project(write(tmp_path, **sections))


def test_nothing_is_held_out_where_queries_are_uses(tmp_path: Path) -> None:
    text = {"kind": "text", "path": "c.jsonl"}
    assert load_project(write(tmp_path, corpus=text)).corpus.held_out == 0.0
    assert load_project(write(tmp_path, corpus=text, queries={"kind": "held_out"})).corpus.held_out == 0.1
    assert load_project(write(tmp_path, corpus=text | {"held_out": 0.2})).corpus.held_out == 0.2


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_a_file_as_windows_saves_it_is_read(tmp_path: Path, encoding: str) -> None:
    path = write(tmp_path)
    text = "# Überschrift\n" + path.read_text()
    path.write_bytes(text.encode(encoding))
    assert load_project(path).name == "press"
    path.write_bytes(text.encode("cp1252"))
    with pytest.raises(ConfigError, match=r"line 1: byte 0xdc is not UTF-8\. Save it as UTF-8"):
        load_project(path)
