"""Bad input at the command line: one clear message, exit code 2, nothing written."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from tests.projects import SOURCES_CSV, article, settings, write_project
from tribute.catalog import lineage
from tribute.config import load_project
from tribute.errors import CorpusChanged
from tribute_jobs.cli import main
from tribute_jobs.pipeline import run
from tribute_jobs.progress import JsonReporter
from tribute_storage import open_tables


def tribute(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["tribute", *arguments])  # in this process, whose Ray the tests share
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def rename_column(folder: Path) -> dict:
    rows = [json.loads(line) for line in (folder / "corpus.jsonl").read_text().splitlines()]
    renamed = [{"site": row["source"], "text": row["text"]} for row in rows]
    (folder / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in renamed))
    return {}


def unknown_publisher(folder: Path) -> dict:
    (folder / "publishers.csv").write_text("publisher_id,name\nplanet,Planet\nkitchen,Kitchen\narenna,Arena\n")
    return {"rights": {"sources": "sources.csv", "publishers": "publishers.csv"}}


def bad_splits(folder: Path) -> dict:
    (folder / "sources.csv").write_text(SOURCES_CSV.replace("recipes,planet,2/3", "recipes,planet,1/2"))
    return {}


def no_right(folder: Path) -> dict:
    (folder / "sources.csv").write_text(SOURCES_CSV.replace("sports,arena,1,,\n", ""))
    return {}


def empty_source(folder: Path) -> dict:
    with (folder / "corpus.jsonl").open("a") as file:
        file.write(json.dumps({"source": "weather2", "text": "short"}) + "\n")
    return {}


def nan_features(folder: Path) -> dict:
    rows = {"source": ["a", "b"], "features": [[1.0, 2.0], [float("nan"), 1.0]], "label": [0, 1]}
    pq.write_table(pa.table(rows), folder / "examples.parquet")
    return {"corpus": {"kind": "arrays", "path": "examples.parquet"}, "rights": {}}


def bad_usage(folder: Path) -> dict:
    with (folder / "usage.jsonl").open("a") as file:
        file.write(json.dumps({"query_id": "late", "text": "A use without a time"}) + "\n")
    return {}


def numbered(path: str, column: str) -> Callable[[Path], dict]:
    """A file of money with a cell that is no number, under the setting `path`."""
    section, _, name = path.partition(".")

    def spoil(folder: Path) -> dict:
        (folder / "bad.csv").write_text(column)
        return {section: {name: "bad.csv"} | ({"sources": "sources.csv"} if section == "rights" else {})}

    return spoil


def change(**sections: object) -> Callable[[Path], dict]:
    return lambda _: sections


CASES: dict[str, tuple[Callable[[Path], dict], list[str]]] = {
    "missing source column": (rename_column, ["corpus.jsonl, row 1", "no column source", "under `corpus`"]),
    "unknown publisher": (unknown_publisher, ["sources.csv", "arena", "arenna"]),
    "splits": (bad_splits, ["recipes", "5/6"]),
    "no right": (no_right, ["sports"]),
    "empty source": (empty_source, ["weather2", "empty", "Add text"]),
    "NaN features": (nan_features, ["examples.parquet, row 2", "NaN"]),
    "decimals": (change(pool={"amount": "10.005", "currency": "EUR"}), ["10.005", "EUR", "2"]),
    "yen decimals": (change(pool={"amount": "10.50", "currency": "JPY"}), ["10.50", "JPY"]),
    "currency": (change(pool={"amount": "10", "currency": "EUX"}), ["EUX", "EUR"]),
    "unknown key": (change(simulaton={}), ["project.yaml", "simulaton", "Did you mean simulation"]),
    "a use without a time": (bad_usage, ["usage.jsonl", "'late', have no time"]),
    "no usage": (change(queries={"kind": "usage", "path": "none.jsonl"}), ["none.jsonl does not exist"]),
    "fees": (numbered("money.fees", "customer_id,fee\na,1e3\n"), ["bad.csv, line 2", "'1e3'"]),
    "agreements": (
        numbered("rights.agreements", "publisher_id,currency,rate\nplanet,EUR,2\n"),
        ["bad.csv", "line 2", "rate"],
    ),
    "an agreement with nobody": (
        numbered("rights.agreements", "publisher_id,currency,rate\nplanett,EUR,1\n"),
        ["bad.csv", "line 2", "planett"],
    ),
    "terms": (numbered("rights.terms", "source_id,licence\ndaily,MIT\n"), ["bad.csv", "Did you mean license?"]),
    "checkpoint": (
        change(training={"checkpoint": "gone"}, simulation={"base": "continue"}),
        ["training.checkpoint", "gone", "cannot be read"],
    ),
    "recording": (change(training={"recordings": ["gone"], "replicates": 1}), ["gone", "recording.json"]),
    "claims": (
        change(corpus={"kind": "text", "path": "corpus.jsonl", "duplicates": {"claims": "none.csv"}}),
        ["corpus.duplicates.claims", "none.csv does not exist"],
    ),
    "disk": (
        change(training={"batch_size": 8, "replicates": 10**7}),
        ["GiB free, and this run writes", "GiB of checkpoints", "training.replicates"],
    ),
    "memory": (change(simulation={"memory_gib": 0.0001}), ["simulation.memory_gib is 0.0001"]),
    "batch": (change(training={"batch_size": 10**6}), ["training.batch_size is 1000000"]),
    "task options": (change(task={"name": "byte_lm", "options": {"widht": 8}}), ["widht", "width"]),
}


@pytest.mark.parametrize("name", CASES)
def test_bad_input_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    spoil, said = CASES[name]
    path = write_project(tmp_path)
    path.write_text(yaml.safe_dump(settings(**spoil(tmp_path))))
    assert tribute(monkeypatch, "run", str(path), "--period", "2026-10") == 2
    message = capsys.readouterr().err
    assert [each for each in said if each not in message] == [], message
    assert "Traceback" not in message
    written = [file for file in (tmp_path / "tribute-data").rglob("*") if file.is_file() and file.name != ".lock"]
    assert written == []


def test_a_corpus_that_changes_while_it_is_read_is_not_trained_on(tmp_path: Path) -> None:
    project = load_project(write_project(tmp_path))
    lineage(project)  # the content that the run's id stands for
    with (tmp_path / "corpus.jsonl").open("a") as file:
        file.write(json.dumps({"source": "daily", "text": article("daily", 999)}) + "\n")
    with pytest.raises(CorpusChanged, match=r"while it was read: corpus\.path \(\.jsonl\) changed"):
        run(project, "2026-10", JsonReporter(), "train")
    with open_tables(project.lake_root) as lake:
        assert lake.execute("select count(*) from corpus_sources").fetchall() == [(0,)]


def test_a_file_that_vanishes_while_the_corpus_is_read_is_noticed(tmp_path: Path) -> None:
    for number, name in enumerate(("daily", "recipes", "sports") * 4):
        (tmp_path / "texts" / name).mkdir(parents=True, exist_ok=True)
        (tmp_path / "texts" / name / f"{number}.txt").write_text(article(name, number))
    path = write_project(tmp_path, corpus={"kind": "text", "path": "texts", "window": 33}, rights={})
    project = load_project(path)
    lineage(project)
    (tmp_path / "texts" / "daily" / "0.txt").unlink()
    with pytest.raises(CorpusChanged, match=r"while it was read: daily/0\.txt is gone"):
        run(project, "2026-10", JsonReporter(), "train")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["statement", "nobody"], ["no statement for 'nobody'", "arena, ", "planet"]),
        (["report", "--period", "1999-01"], ["1999-01", "tribute run"]),
        (["sql", "drop table influence"], ["refused"]),
        (["sql", "select nothing from influence"], ["nothing"]),
        (["run", "--period", "2026-13"], ["2026-13", "YYYY-MM"]),
    ],
)
def test_commands_refuse_with_the_remedy(
    finished_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    said: list[str],
) -> None:
    command, *rest = arguments
    period = [] if "--period" in rest or command == "sql" else ["--period", "2026-10"]
    assert tribute(monkeypatch, command, str(finished_folder / "project.yaml"), *rest, *period) == 2
    message = capsys.readouterr().err
    assert [each for each in said if each not in message] == [], message
