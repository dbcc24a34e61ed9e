"""What is kept and what runs again follows content, not names, places or times."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from tests.e2e.conftest import PERIOD
from tests.projects import article, write_corpus
from tribute.catalog import recorded_replicates
from tribute.config import Project, load_project
from tribute_jobs.pipeline import STAGES, Outcome, run
from tribute_jobs.progress import JsonReporter
from tribute_storage import LakeError, open_tables

ALL_KEPT = dict.fromkeys(STAGES, False)
KEPT = {name: False for name in STAGES if name != "settle"}


class Listener(JsonReporter):
    """Keeps what was planned."""

    def __init__(self) -> None:
        super().__init__()
        self.again: dict[str, str] = {}

    def planned(self, kept, again):
        """Keep the reasons."""
        del kept
        self.again |= again


def change(path: Path, **sections: object) -> None:
    """Change sections of a project file."""
    content = yaml.safe_load(path.read_text())
    for name, section in sections.items():
        content[name] = content.get(name, {}) | section if isinstance(section, dict) else section
    path.write_text(yaml.safe_dump(content))


def again(path: Path, last: str = "settle", period: str = PERIOD) -> tuple[Outcome, dict[str, str]]:
    """Run a project; the outcome, and why stages ran again."""
    listener = Listener()
    return run(load_project(path), period, listener, last), listener.again


def new(outcome: Outcome) -> dict[str, bool]:
    """Whether each stage committed something."""
    return {name: output.new for name, output in outcome.outputs.items()}


def sources(project: Project, run_id: str) -> set[str]:
    """The sources of a corpus run."""
    with open_tables(project.lake_root, "corpus_sources") as lake:
        rows = lake.execute("select source_id from corpus_sources where run_id = $1", [run_id]).fetchall()
    return {name for (name,) in rows}


def trainings(path: Path, retrain_run: str | None = None) -> tuple[list[str], float]:
    """The trainings that a valuation learnt from, and its expected misallocation; None: of the only one."""
    with open_tables(load_project(path).lake_root) as lake:
        [(run_id, expected)] = lake.execute(
            "select run_id, arg_max(expected_misallocation, step) from precisions "
            "where run_id = coalesce($1, run_id) group by run_id",
            [retrain_run],
        ).fetchall()
        rows = lake.execute(
            "select seed || ' ' || unit_id from measurements where retrain_run = $1 order by all", [run_id]
        ).fetchall()
    return [name for (name,) in rows], expected


@pytest.fixture
def path(finished_folder: Path, tmp_path: Path, ray_cluster: None) -> Path:  # noqa: ARG001
    """A copy of the finished project, in another place."""
    shutil.copytree(finished_folder, tmp_path / "copy")
    return tmp_path / "copy" / "project.yaml"


def test_a_copied_and_moved_project_goes_on(path: Path) -> None:
    assert new(again(path)[0]) == ALL_KEPT
    other = path.parent / "v2" / "other name.jsonl"
    other.parent.mkdir()
    (path.parent / "corpus.jsonl").rename(other)
    change(path, corpus={"path": "v2/other name.jsonl"})
    moved = path.parent.rename(path.parent.parent / "moved")
    outcome, why = again(moved / "project.yaml")
    first = outcome.outputs
    assert (new(outcome), why) == (ALL_KEPT, {})
    rows = [json.loads(line) for line in (moved / "usage.jsonl").read_text().splitlines()]
    later = [row | {"query_id": f"n{row['query_id']}", "time": "2026-11-03T12:00:00Z"} for row in rows]
    (moved / "usage.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows + later))
    outcome, why = again(moved / "project.yaml", "value", "2026-11")
    assert new(outcome) == KEPT | dict.fromkeys(("attribute", "retrain", "value"), True)
    assert why == {}, "a month that never ran does not run again"
    before, _ = trainings(moved / "project.yaml", first["retrain"].run_id)
    known, expected = trainings(moved / "project.yaml", outcome.outputs["retrain"].run_id)
    assert known == before and 0 < expected < 1, "what one month learnt, the next one knows"
    assert not list(path.parent.parent.glob("copy"))


@pytest.mark.slow
def test_other_content_under_another_or_the_same_name_is_read(path: Path) -> None:
    before = load_project(path)
    write_corpus(path.parent / "corpus2.jsonl", {"daily": 9, "recipes": 6, "sports": 5})
    change(path, corpus={"path": "corpus2.jsonl"}, rights={"sources": None})
    outcome, why = again(path, "train")
    assert new(outcome) == {"corpus": True, "train": True}
    assert why == {"corpus": "corpus.path (.jsonl) changed", "train": "another corpus"}
    project = load_project(path)
    assert sources(project, outcome.outputs["corpus"].run_id) == {"daily", "recipes", "sports"}
    with (path.parent / "corpus2.jsonl").open("a") as file:
        file.write(json.dumps({"source": "weather", "text": article("weather", 999, sentences=30)}) + "\n")
    outcome, why = again(path, "train")
    assert why["corpus"] == "corpus.path (.jsonl) changed"
    assert sources(project, outcome.outputs["corpus"].run_id) == {"daily", "recipes", "sports", "weather"}
    change(path, corpus={"path": "corpus.jsonl"})
    assert new(again(path, "train")[0]) == {"corpus": False, "train": False}, "what was read before is kept"
    assert sources(before, again(path, "train")[0].outputs["corpus"].run_id) >= {"weather"}


@pytest.mark.slow
def test_a_larger_budget_goes_on_with_what_was_trained(path: Path) -> None:
    before = trainings(path)
    change(path, valuation={"budget": 5})
    outcome, why = again(path, "value")
    assert (new(outcome), why) == (KEPT | {"retrain": True, "value": True}, {})
    after, _ = trainings(path, outcome.outputs["retrain"].run_id)
    assert len(after) == 5 and set(before[0]) < set(after)
    with open_tables(load_project(path).lake_root) as lake:
        [found] = lake.execute(
            "select distinct estimates_run, retrain_run, expected_misallocation < $2 from valuations "
            "where run_id = $1",
            [outcome.outputs["value"].run_id, before[1]],
        ).fetchall()
    assert found == (outcome.outputs["attribute"].run_id, outcome.outputs["retrain"].run_id, True)
    change(path, valuation={"budget": 3})
    outcome, _ = again(path, "value")
    assert not outcome.changed, "what was valued before is kept"


@pytest.mark.slow
def test_further_estimates_are_attributed_anew(path: Path) -> None:
    change(path, valuation={"estimates": [{"horizon": 0.6}]})
    outcome, why = again(path, "value")
    assert new(outcome) == KEPT | dict.fromkeys(("simulate", "attribute", "retrain", "value"), True)
    estimates = 'valuation.estimates [{"mode": "nearest"}] -> [{"horizon": 0.6}]'
    assert why == {"estimates": estimates, "attribute": "another set of estimates"}
    change(path, valuation={"estimates": [{"horizon": 0.7}]})
    _, why = again(path, "simulate")
    assert why == {"estimates": 'valuation.estimates [{"horizon": 0.6}] -> [{"horizon": 0.7}]'}


@pytest.mark.slow
def test_a_lake_belongs_to_one_project(path: Path, tmp_path: Path) -> None:
    lake = load_project(path).lake_root
    other = tmp_path / "other"
    shutil.copytree(path.parent, other)
    shutil.rmtree(other / "tribute-data")
    change(other / "project.yaml", name="another", lake=lake)
    with pytest.raises(LakeError, match=r"belongs to project 'press', and this one is 'another'"):
        again(other / "project.yaml")
    change(other / "project.yaml", name="press")
    assert new(again(other / "project.yaml")[0]) == ALL_KEPT, "the same project in a second folder"
    change(other / "project.yaml", simulation={"horizon": 0.5})
    outcome, _ = again(other / "project.yaml", "simulate")
    assert new(outcome) == {"corpus": False, "train": False, "simulate": True}
    for replicate in recorded_replicates(load_project(other / "project.yaml")):
        replicate.verify()  # trained again in the second folder, to the bytes that the lake records
