"""Commands that look at money, over a project that ran to the end: explain, whatif."""

import hashlib
import json
import math
import shutil
from collections import defaultdict
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pyarrow as pa
import pytest
import yaml

from tests.e2e.conftest import PERIOD
from tests.unit.jobs.commanding import Ran, tribute
from tribute.config import Project, load_project
from tribute.royalty.document import StatementLine
from tribute_jobs.inquiries.report import latest_valuation
from tribute_jobs.period.settlement import commit, settlement
from tribute_jobs.period.statements import latest_statements, read_period
from tribute_storage import SCHEMAS, Lake, open_tables

FEES = "customer_id,fee\ncustomer-0,10.00\ncustomer-1,19.90\nnever-asked,5.00\n"
Copied = Callable[..., Path]


@pytest.fixture
def copied(finished_folder: Path, tmp_path: Path) -> Copied:
    """A copy of the finished project with changed settings; what these determine is settled anew."""

    def copy(settle: bool = True, **sections: object) -> Path:
        shutil.copytree(finished_folder, tmp_path / "press")
        (tmp_path / "press" / "fees.csv").write_text(FEES)
        path = tmp_path / "press" / "project.yaml"
        path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | sections))
        project = load_project(path)
        if sections and settle:
            commit(
                Lake(project.lake_root),
                settlement(read_period(project, PERIOD), latest_valuation(project, PERIOD)),
            )
        return path

    return copy


@pytest.fixture(scope="session")
def project_file(finished_folder: Path) -> Path:
    return finished_folder / "project.yaml"


def lines(path: Path, kind: str = "source") -> list[StatementLine]:
    statements = latest_statements(load_project(path), PERIOD)
    return [line for statement in statements for line in statement.lines if line.line_type == kind]


def explained(path: Path, line_id: str, *options: str) -> dict:
    ran = tribute("explain", path, line_id, "--json", *options)
    assert ran.code == 0, ran.text
    return json.loads(ran.text)


def contributions(project: Project, source_id: str, run_id: str) -> dict[str, float]:
    """Uses times mean influence of every query, by loops."""
    with open_tables(project.lake_root) as lake:
        queries = lake.execute(
            "select query_id, weight, inclusion_probability from queries where run_id = ?", [run_id]
        ).fetchall()
        rows = lake.execute(
            "select query_id, influence_nats from influence where source_id = ? and run_id = ?",
            [source_id, run_id],
        ).fetchall()
    found = defaultdict(list)
    for query_id, nats in rows:
        found[query_id].append(nats)
    return {name: weight / chance * math.fsum(found[name]) / len(found[name]) for name, weight, chance in queries}


def test_an_amount_leads_back_to_queries_simulation_and_training(finished: Project, project_file: Path) -> None:
    for line in lines(project_file):
        found = explained(project_file, line.line_id)
        division, queries, valued = (found[name] for name in ("division", "queries", "valuation"))
        assert division["line_minor"] == found["line"]["amount_minor"] == line.amount_minor
        assert abs(Fraction(division["line_exact_minor"]) - division["line_minor"]) < 1
        assert abs(Fraction(division["publisher_exact_minor"]) - division["publisher_minor"]) < 1
        [run_id] = queries["attribute_runs"]
        split = Fraction(line.split)
        nats = {n: float(split) * v for n, v in contributions(finished, line.source_id, run_id).items()}
        most = sorted(nats, key=lambda name: (-abs(nats[name]), name))[:10]
        assert [each["query_id"] for each in queries["most"]] == most and queries["asked"] == len(nats) == 12
        assert [each["nats"] for each in queries["most"]] == pytest.approx([nats[name] for name in most])
        assert queries["total_nats"] == valued["attribution_nats"] == pytest.approx(math.fsum(nats.values()))
        assert queries["corrections_nats"] == pytest.approx(0, abs=1e-6)
        files = [*found["simulations"], *found["training"]]
        assert len(files) == 4
        for each in files:
            content = (finished.workdir / each["artifact_uri"]).read_bytes()
            assert hashlib.sha256(content).hexdigest() == each["artifact_sha256"]
        assert [each["source_id"] for each in found["corpus"]] == [line.source_id]


def test_the_text_tells_every_step_and_withholds_who_asked(project_file: Path) -> None:
    line = next(each for each in lines(project_file) if each.split == "1/3")
    ran = tribute("explain", project_file, line.line_id)
    assert ran.text.startswith(f"{line.amount} for source recipes, to ")
    for told in (
        "1,000.01 EUR x ",
        "holds 1/3 of the source",
        "real trainings",
        "sha256",
        "together, as measured",
    ):
        assert told in ran.text
    assert "customer-" not in ran.text and "customer_id" not in json.dumps(explained(project_file, line.line_id))
    named = explained(project_file, line.line_id, "--customers")["queries"]["most"]
    assert {each["customer_id"] for each in named} == {"customer-0", "customer-1"}
    assert "customer-1" in tribute("explain", project_file, line.line_id, "--customers").text


def test_a_batch_that_was_replaced_is_not_explained(copied: Copied) -> None:
    path = copied()
    project = load_project(path)
    with open_tables(project.lake_root) as lake:
        tables = {name: lake.sql(f"from {name}").to_arrow_table().to_pylist() for name in ("influence", "queries")}
    for name, rows in tables.items():
        later = [row | {"run_id": "attribute-later", "weight": 7.0} for row in rows]
        table = pa.Table.from_pylist(
            [{key: row[key] for key in SCHEMAS[name].names} for row in later], SCHEMAS[name]
        )
        Lake(project.lake_root).append(name, "attribute-later", table)
    found = explained(path, lines(path)[0].line_id)["queries"]
    assert "attribute-later" not in found["attribute_runs"] and found["asked"] == 12


def test_an_unattributed_line_says_that_no_use_stands_behind_it(copied: Copied) -> None:
    path = copied(policy={"basis": "user_centric"}, money={"fees": "fees.csv"})
    found = lines(path, "unattributed")
    assert len(found) == 3  # the fee of the customer who never asked goes to all three publishers
    told = explained(path, found[0].line_id)
    assert told["queries"] is None and told["simulations"] == [] and len(told["training"]) == 2
    assert told["division"]["line_minor"] == found[0].amount_minor > 0
    text = tribute("explain", path, found[0].line_id).text
    assert "what no source is paid for" in text and "no use of the model stands behind this line" in text


def test_an_unknown_line_is_met_with_near_ones(project_file: Path) -> None:
    asked = lines(project_file)[0].line_id[:-1]
    ran = tribute("explain", project_file, asked)
    assert ran.code == 2 and f"No line is called '{asked}'. Did you mean {asked}" in ran.text


def test_a_statement_prints_what_explain_asks_for(project_file: Path) -> None:
    statements = latest_statements(load_project(project_file), PERIOD)
    several, single = (next(s for s in statements if (len(s.lines) == 1) == one) for one in (False, True))
    text = tribute("statement", project_file, several.publisher_id, "--period", PERIOD).text
    for line in several.lines:
        assert several.statement_id in text and line.source_id in text
        printed = f"{several.statement_id}:{line.source_id}"
        assert explained(project_file, printed)["line"]["line_id"] == line.line_id
    ran = tribute("explain", project_file, several.statement_id)
    assert ran.code == 2
    assert f"'{several.statement_id}' has {len(several.lines)} lines. Name one of them: " in ran.text
    assert all(line.line_id in ran.text for line in several.lines)
    assert explained(project_file, single.statement_id)["line"]["line_id"] == single.lines[0].line_id


def divided(path: Path, *options: object) -> dict:
    ran = tribute("whatif", path, "--period", PERIOD, "--json", *options)
    assert ran.code == 0, ran.text
    return json.loads(ran.text)


def contents(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_policies_side_by_side_divide_the_pool_and_commit_nothing(finished: Project, project_file: Path) -> None:
    before = contents(project_file.parent)
    found, text = divided(project_file), tribute("whatif", project_file, "--period", PERIOD).text
    assert contents(project_file.parent) == before
    own, *others = found["policies"]
    settled = {each.publisher_id: each.amount_minor for each in latest_statements(finished, PERIOD)}
    assert own["own"] and own["amounts_minor"] == {"EUR": settled} and not found["final"]
    names = [each["policy"] for each in others]
    assert names == ["noise-floor", "token-count", "equal", "blend-70-30"]  # attribution is the project's own
    for each in found["policies"]:
        assert each["sums_minor"] == {"EUR": 100001}
        assert sum(map(Fraction, each["shares"].values())) == 1
        moved = {name: minor - settled[name] for name, minor in each["amounts_minor"]["EUR"].items()}
        assert each["differences_minor"] == {"EUR": moved}
    equal = found["policies"][names.index("equal") + 1]
    assert sorted(equal["amounts_minor"]["EUR"].values()) == [33333, 33334, 33334] and equal["hhi"] == "0.333333"
    assert "gains most" in text and "nothing was committed" in text and "1,000.01" in text


def test_policies_from_files_and_by_customers_fees_join(copied: Copied, tmp_path: Path) -> None:
    path = copied(settle=False, money={"fees": "fees.csv"})
    half, same = tmp_path / "half.yaml", tmp_path / "same.yaml"
    half.write_text("basis: attribution\ncap: '1/2'\n")
    same.write_text("name: another name for equal parts\nbasis: equal\n")
    found = divided(path, "--policy", half, "--policy", same)["policies"]
    names = [each["policy"] for each in found]
    assert names[1:3] == ["half", "another name for equal parts"] and "equal" not in names
    assert names[-1] == "user-centric"
    assert max(map(Fraction, found[1]["shares"].values())) <= Fraction(1, 2)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read"),
        ("- a\n", "holds no policy"),
        ("{", "cannot be read"),
        ("basis: equal\nbasis: token_count", "line 2: the key basis stands in line 1 already"),
        ("basis: equal\ncap: 1_0", "policy.cap: '1_0' is not a number"),
        ("basis: equal\nnoise_floor: on", "policy.noise_floor is 'on'. Write true or false"),
        ("bases: equal\n", "Did you mean basis?"),
        ("basis: user_centric\n", "got none"),
    ],
)
def test_a_file_that_holds_no_policy_is_refused(
    project_file: Path, tmp_path: Path, content: str | None, message: str
) -> None:
    if content is not None:
        (tmp_path / "rule.yaml").write_text(content)
    ran: Ran = tribute("whatif", project_file, "--period", PERIOD, "--policy", tmp_path / "rule.yaml")
    assert ran.code == 2 and message in ran.text


def test_other_settings_than_the_valuations_are_refused(copied: Copied) -> None:
    path = copied(settle=False, training={"learning_rate": 0.02, "batch_size": 8, "epochs": 2, "replicates": 2})
    ran = tribute("whatif", path, "--period", PERIOD)
    assert ran.code == 2 and "valued under other settings" in ran.text
