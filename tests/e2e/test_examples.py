"""`tribute estimators` and `tribute examples` on a finished project."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from tests.e2e.conftest import PERIOD
from tests.unit.jobs.commanding import tribute
from tribute.catalog import lineage
from tribute.config import Project, load_project
from tribute.estimators import ESTIMATORS
from tribute_jobs.service.views.evidence import NO_INDEX, Verbatim, evidence
from tribute_jobs.service.views.query import query_view


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


def test_what_an_answer_shares_word_for_word(project_file: Path) -> None:
    """A use that quotes a document of a source, for the operator and for the publisher of the source."""
    project, asked = load_project(project_file), ("--period", PERIOD, "--query", "q001")
    corpus, usage = (
        [json.loads(line) for line in (project_file.parent / name).read_text().splitlines()]
        for name in ("corpus.jsonl", "usage.jsonl")
    )
    quoted = next(row["text"] for row in corpus if row["source"] == "sports")
    text = f"They say: {quoted[20:150]} Or so."
    for row in usage:
        row["text"] = text
    (project_file.parent / "usage.jsonl").write_text("".join(json.dumps(row) + "\n" for row in usage))
    assert "verbatim" not in tribute("examples", project_file, *asked, "--source", "sports").text
    assert "no index" in verbatim_page(project).problem
    assert own_verbatim(project).problem == NO_INDEX
    assert tribute("verbatim", project_file).code == 0
    found = json.loads(tribute("verbatim", project_file, *asked, "--json").text)
    of_row = {f"row {number:09d}": row for number, row in enumerate(corpus, 1)}
    assert found[0]["text"] == quoted[20:150]
    for each in found:
        row = of_row[each["document"]]
        assert row["source"] == each["source_id"]
        assert row["text"][each["position"] :].startswith(each["text"])
        assert each["kind"] == "near" or text[each["begin"] : each["end"]] == each["text"]
    best = found[0]
    one = ("--source", best["source_id"])
    told = f"verbatim: {best['characters']} characters from {best['document']} of {best['source_id']}"
    assert told in tribute("verbatim", project_file, *asked, *one).text
    assert told in tribute("examples", project_file, *asked, *one).text
    assert json.loads(tribute("verbatim", project_file, *asked, *one, "--least", "200", "--json").text) == []
    assert [each.text for each in verbatim_page(project).passages] == [each["text"] for each in found]
    assert own_verbatim(project).passages[0] == verbatim_page(project).passages[0].model_copy(
        update={"begin": None, "end": None}
    )
    assert {each.source_id for each in own_verbatim(project).passages} == {"sports"}
    refused = tribute("verbatim", project_file, *asked, "--least", "3")
    assert (refused.code, "Runs of 3 tokens are too short" in refused.text) == (2, True)


def verbatim_page(project: Project) -> Verbatim:
    """What the page of the query shows of it."""
    shown = query_view(project, "q001", passages=1).verbatim
    assert shown is not None
    return shown


def own_verbatim(project: Project) -> Verbatim:
    """What the publisher of a source reads of it."""
    [part] = evidence(project, PERIOD, "sports", "arena", passages=1)
    assert part.verbatim is not None
    return part.verbatim


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
