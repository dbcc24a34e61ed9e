"""A month whose sources, publishers, queries and customers have ids that look like paths, markup and formulas."""

import csv
import json
from pathlib import Path

import pytest

from tests.e2e.conftest import PERIOD
from tests.projects import WORDS, article, write_project
from tribute.config import Project, load_project
from tribute.royalty.proof import verdict
from tribute_jobs.inquiries.report import statement_bytes
from tribute_jobs.pipeline import run
from tribute_jobs.progress import JsonReporter
from tribute_storage import open_tables, publish

SOURCES = ["../../../escaped", "/tmp/absolute", "[red]AC/DC[/]", "東京 \U0001f642" * 100]
PUBLISHERS = ["..", "a/../../b", "=1+1 <b>'\"", "x" * 1024]
USES = ["../q", "[/]", "q" * 1024, "e\u0301"]


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("odd") / "one" / "two" / "project"
    training = {"learning_rate": 0.01, "batch_size": 8, "epochs": 1, "replicates": 1}
    path = write_project(folder, training=training, valuation={"budget": 0})
    rows = [
        {"source": source, "text": article(kind, number)}
        for source, kind in zip(SOURCES, WORDS, strict=True)
        for number in range(5)
    ]
    (folder / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with (folder / "sources.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("source_id", "publisher_id"), *zip(SOURCES, PUBLISHERS, strict=True)])
    uses = [
        {
            "query_id": name,
            "text": article(kind, 900, sentences=2),
            "time": f"{PERIOD}-03T12:00:00Z",
            "customer_id": f"{name}/c"[-1024:],
        }
        for name, kind in zip(USES, WORDS, strict=True)
    ]
    (folder / "usage.jsonl").write_text("".join(json.dumps(row) + "\n" for row in uses))
    project = load_project(path)
    run(project, PERIOD, JsonReporter())
    run(project, PERIOD, JsonReporter(), "close")
    return project


def test_nothing_is_written_outside_the_project(odd: Project) -> None:
    folder = odd.workdir.parent
    outer = folder.parents[2]
    assert {path for path in outer.rglob("*") if not path.is_relative_to(folder)} == {
        outer / "one",
        outer / "one" / "two",
    }
    assert sorted(path.name for path in folder.iterdir()) == [
        *("corpus.jsonl", "project.yaml", "sources.csv", "tribute-data", "usage.jsonl")
    ]


def test_every_id_comes_through_as_it_is(odd: Project) -> None:
    with open_tables(odd.lake_root) as lake:
        for table, column, expected in (
            ("corpus_sources", "source_id", SOURCES),
            ("influence", "source_id", SOURCES),
            ("statements", "publisher_id", PUBLISHERS),
            ("queries", "query_id", ["../q", "[/]", "q" * 1024, "\u00e9"]),
        ):
            assert {name for (name,) in lake.execute(f"select distinct {column} from {table}").fetchall()} == {
                *expected
            }, column


def test_every_publisher_has_its_statement_and_it_verifies(odd: Project) -> None:
    files = sorted((odd.workdir / "statements" / f"{PERIOD}-v2").glob("*.json"))
    assert len(files) == len(PUBLISHERS) + 1
    statements = [path for path in files if path.name != "bundle.json"]
    assert {json.loads(path.read_text())["publisher_id"] for path in statements} == {*PUBLISHERS}
    assert all(not verdict(path, None).problems for path in files)
    for publisher in PUBLISHERS:
        for form in ("text", "html", "pdf"):
            assert statement_bytes(odd, publisher, PERIOD, form)


def test_every_publisher_has_its_published_file(odd: Project, tmp_path: Path) -> None:
    found = publish(odd.lake_root, tmp_path / "published")
    assert {path.parent for path in found} == {tmp_path / "published"}
    assert len(found) == len(PUBLISHERS) + 1
