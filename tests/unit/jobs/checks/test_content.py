"""The corpus, claims and queries: every file is read, and the problems of several are listed together."""

import json
from pathlib import Path

import pytest

from tests.projects import article, write_usage
from tests.unit.catalog.test_queries import attributed
from tests.unit.jobs.checks.checking import MONTH, spoiled, subject
from tribute.errors import ConfigError, CorpusChanged, CorpusError
from tribute.files.sealed import write_sealed
from tribute_jobs.checks import check_project
from tribute_jobs.checks.content import check_claims, check_corpus, check_queries
from tribute_jobs.checks.subject import Subject
from tribute_jobs.commands.ingest import ingest_files
from tribute_jobs.context import Inputs
from tribute_jobs.pipeline import run
from tribute_jobs.progress import JsonReporter

FOLDER = {"kind": "text", "path": "texts", "window": 33}
LONG, OTHER = article("daily", 1), article("recipes", 1)


def test_the_corpus_is_counted(tmp_path: Path) -> None:
    seen = check_corpus(subject(spoiled(tmp_path)))
    assert seen is not None and seen.text == "4 sources, 8,415 tokens, not read before"


def test_a_change_that_sizes_and_times_do_not_show_is_refused(tmp_path: Path) -> None:
    project = spoiled(tmp_path)
    run(project, MONTH, JsonReporter(), "corpus")
    looked = Subject(Inputs(project), MONTH, "settle", again=True)
    same = check_corpus(looked)
    assert same is not None and same.text == "4 sources, the same as when they were read"
    assert looked.snapshot is not None
    manifest = looked.snapshot / "manifest.json"
    content = json.loads(manifest.read_text())
    content["inputs"]["file corpus.path (.jsonl)"] = "0" * 64
    write_sealed(manifest, json.dumps(content).encode())
    with pytest.raises(
        CorpusChanged, match=r"files did not: corpus\.path \(\.jsonl\) changed\. Restore it, or delete"
    ):
        check_corpus(looked)


def test_a_problem_of_every_source_is_listed(tmp_path: Path) -> None:
    files = {"texts/a/a.txt": LONG, "texts/b/b.jsonl": "{}", "texts/c/c.txt": " ", "texts/d/d.txt": LONG}
    with pytest.raises(CorpusError) as raised:
        check_corpus(subject(spoiled(tmp_path, files | {"texts/loose.txt": "x"}, corpus=FOLDER)))
    first, *others = str(raised.value).split("\n")
    assert first.endswith("texts has 3 problems:")
    assert [name for name in ("loose.txt", "b.jsonl", "c.txt is empty") if name not in str(raised.value)] == []
    assert len(others) == 3


def test_every_empty_source_is_named(tmp_path: Path) -> None:
    files = {"texts/a/a.txt": LONG, "texts/b/b.txt": OTHER, "texts/c/c.txt": "c", "texts/d/d.txt": "d"}
    (tmp_path / "texts" / "e").mkdir(parents=True)
    with pytest.raises(CorpusError) as raised:
        check_corpus(subject(spoiled(tmp_path, files, corpus=FOLDER)))
    assert [name for name in ("'c'", "'d'", "'e'") if f"Source {name} is empty" not in str(raised.value)] == []
    assert "Source 'a'" not in str(raised.value)


def test_bad_claims_do_not_hide_a_bad_corpus(tmp_path: Path) -> None:
    corpus = {"kind": "text", "path": "corpus.jsonl", "window": 33, "duplicates": {"claims": "claims.csv"}}
    claims = "source_id,claimed\ndaily,soon\n"
    project = spoiled(tmp_path, {"claims.csv": claims}, corpus=corpus)
    with pytest.raises(CorpusError, match=r"claims.csv, line 2: column claimed: soon is not a date"):
        check_claims(subject(project))
    assert check_corpus(subject(project)) is None
    (tmp_path / "corpus.jsonl").write_text("{}\n")
    with pytest.raises(CorpusError, match=r"corpus.jsonl, row 1 has no column"):
        check_corpus(subject(project))


def usage(path: Path, **changes: object) -> None:
    rows = write_usage(path, MONTH, uses=4)
    rows[-1] |= changes
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"text": ""}, "usage.jsonl, row 4: column 'text'"),
        ({"text": [{"role": "user", "content": "x"}]}, "a list of 1 chat messages"),
        ({"time": "2026-10-05 12:00"}, "row 4: column 'time'"),
        ({"time": None}, "1 of 4 queries, such as 'q003', have no time"),
        ({"weight": -1}, "row 4: column 'weight'"),
        ({"inclusion_probability": 0}, "row 4: column 'inclusion_probability'"),
        ({"query_id": "q000"}, "'q000' occurs more than once"),
        ({"customer_id": "a\u202eb"}, "row 4: column 'customer_id'"),
        ({"wieght": 1}, "Did you mean weight?"),
    ],
)
@pytest.mark.parametrize("month", [MONTH, None])
def test_a_bad_use_is_named_whatever_month_it_is_of(
    tmp_path: Path, changes: dict, said: str, month: str | None
) -> None:
    project = spoiled(tmp_path)
    usage(tmp_path / "usage.jsonl", **changes)
    with pytest.raises(CorpusError) as raised:
        check_queries(subject(project, month))
    assert said in str(raised.value)


def test_every_bad_row_is_listed_of_the_corpus_and_of_usage(tmp_path: Path) -> None:
    bad = ['{"source": "a"}', '{"source": "a", "text": 5}', "[]", '{"source": "a\\u0007", "text": "x"}', "{"]
    project = spoiled(tmp_path, {"corpus.jsonl": "\n".join(bad)})
    with pytest.raises(CorpusError) as raised:
        check_corpus(subject(project))
    assert "corpus.jsonl: 3 rows cannot be used:" in str(raised.value)
    assert [n for n in (1, 3, 5) if f"corpus.jsonl, row {n}" not in str(raised.value)] == []
    (tmp_path / "corpus.jsonl").write_text("\n".join((bad[1], bad[3])))
    with pytest.raises(CorpusError, match=r"(?s)2 rows cannot be used:.*row 1: column 'text'.*row 2: the source"):
        check_corpus(subject(project))
    uses = [{"query_id": f"q{n}", "text": "abc", "time": f"{MONTH}-{n:02d}T12:00:00Z"} for n in range(40)]
    (tmp_path / "usage.jsonl").write_text("".join(json.dumps(use) + "\n" for use in uses))
    with pytest.raises(CorpusError) as raised:
        check_queries(subject(project))
    assert "usage.jsonl: 9 rows cannot be used:" in str(raised.value), "days 0 and 32 to 39"
    assert str(raised.value).count("column 'time'") == 9
    (tmp_path / "usage.jsonl").write_text("[]\n" * 30)
    with pytest.raises(CorpusError) as raised:
        check_queries(subject(project))
    assert str(raised.value).count("has no column query_id, text") == 20 and "and 10 more" in str(raised.value)


def test_ingested_events_need_their_content(tmp_path: Path) -> None:
    project = spoiled(tmp_path)
    ingest_files(project, [str(tmp_path / "usage.jsonl")], JsonReporter())
    ingested = spoiled(tmp_path, queries={"kind": "ingested"})
    with pytest.raises(CorpusError, match=f"12 of 12 queries of {MONTH}, such as 'q000', were ingested without"):
        check_queries(subject(ingested))
    seen = check_queries(subject(ingested, None))
    assert seen is not None and seen.text == f"in 1 months, the last is {MONTH}"
    ingest_files(ingested, [str(tmp_path / "usage.jsonl")], JsonReporter())
    seen = check_queries(subject(ingested))
    assert seen is not None and seen.text == f"12 in {MONTH}"


def test_an_id_that_another_month_used_is_noted(tmp_path: Path) -> None:
    project = spoiled(tmp_path)
    attributed(project, "2026-09", "q001", "q003")
    seen = check_queries(subject(project))
    assert seen is not None and seen.warnings[0].startswith(
        f"2 query ids of {MONTH}, such as 'q001', were used in 2026-09 too"
    )


def test_a_problem_of_every_usage_file_is_listed(tmp_path: Path) -> None:
    paths = ["usage/*.jsonl", "usage/events.csv", "more.jsonl"]
    files = {
        "usage/a.jsonl": '{"query_id": 1}\n',
        "usage/b.jsonl": "[]\n",
        "usage/events.csv": "",
        "more.jsonl": "",
    }
    project = spoiled(tmp_path, files, queries={"kind": "usage", "path": paths})
    with pytest.raises(CorpusError) as raised:
        check_queries(subject(project))
    assert [
        n for n in ("a.jsonl, row 1", "b.jsonl, row 1", "events.csv is no") if n not in str(raised.value)
    ] == []
    (tmp_path / "more.jsonl").unlink()
    (tmp_path / "usage" / "events.csv").unlink()
    with pytest.raises(CorpusError) as raised:
        check_queries(subject(project))
    assert str(raised.value).count("does not exist. Correct queries.path") == 2


def test_idx_queries_are_read_with_and_without_a_month(tmp_path: Path) -> None:
    project = spoiled(tmp_path, queries={"kind": "idx", "images": "images", "labels": "labels"})
    for month in (MONTH, None):
        with pytest.raises(CorpusError, match="images does not exist"):
            check_queries(subject(project, month))


@pytest.mark.parametrize("uses", ["", '{"query_id": "q", "text": "abc", "time": "2026-09-05T12:00:00Z"}\n'])
def test_a_month_without_queries_is_no_problem_and_is_said(tmp_path: Path, uses: str) -> None:
    seen = check_queries(subject(spoiled(tmp_path, {"usage.jsonl": uses})))
    assert seen is not None and seen.text == f"none in {MONTH}"
    [warning] = seen.warnings
    known = "There are some in 2026-09." if uses else "There are none in any other month."
    assert warning.startswith(f"No queries in {MONTH}: every value is 0. {known}")


@pytest.mark.parametrize(("weights", "said"), [([0] * 4, True), ([0, 0, 0, 1], False)])
def test_a_month_of_queries_without_weight_is_said(tmp_path: Path, weights: list[int], said: bool) -> None:
    project = spoiled(tmp_path)
    rows = [
        row | {"weight": each}
        for row, each in zip(write_usage(tmp_path / "usage.jsonl", MONTH, 4), weights, strict=True)
    ]
    (tmp_path / "usage.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    passed = check_queries(subject(project))
    assert passed is not None and passed.text == f"4 in {MONTH}"
    assert ["All queries in 2026-10 have weight 0" in each for each in passed.warnings] == [True] * said


def test_without_a_month_all_months_are_counted(tmp_path: Path) -> None:
    seen = check_queries(subject(spoiled(tmp_path), None))
    assert seen is not None and seen.text == f"in 1 months, the last is {MONTH}"


def test_an_evaluation_needs_queries(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"Period {MONTH} has 12 queries, and an evaluation needs 20"):
        check_queries(subject(spoiled(tmp_path), last="evaluate"))


def test_held_out_queries_of_a_corpus_that_cannot_be_read_are_no_second_problem(tmp_path: Path) -> None:
    project = spoiled(tmp_path, {"corpus.jsonl": "{}\n"}, queries={"kind": "held_out"})
    assert [each.name for each in check_project(Inputs(project), MONTH).results if not each.fine] == ["corpus"]


def test_a_corpus_is_read_once_and_released(tmp_path: Path) -> None:
    inputs = Inputs(spoiled(tmp_path))
    corpus = inputs.corpus()
    (tmp_path / "corpus.jsonl").write_text("{}\n")
    assert inputs.corpus() is corpus and inputs.release_corpus() is corpus
    for _ in range(2):
        with pytest.raises(CorpusError, match="row 1 has no column"):
            inputs.corpus()
