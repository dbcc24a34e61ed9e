"""The README's SQL examples, run as they stand against the demo's lake; and the lake's commands on it."""

import io
import json
import re
import shlex
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tribute_jobs.cli import main
from tribute_storage import Lake

README = (Path(__file__).parents[2] / "README.md").read_text()
SECTION = README[README.index("\n## SQL") : README.index("\n## Service")]
BLOCK = re.search(r"```\n(.*?)```", SECTION, re.DOTALL)
assert BLOCK is not None
EXAMPLES = re.findall(r'(?:^|\n)((?:echo "[^"]*" \| )?tribute sql (?:[^"\n]|"[^"]*")*)', BLOCK[1])


@pytest.fixture
def tribute(demo: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]):
    """Run a command line in the demo's folder; what it printed."""

    def call(line: str) -> str:
        piped = re.fullmatch(r"echo (.*?) \| (.*)", line, re.DOTALL)
        if piped:
            monkeypatch.setattr(sys, "stdin", io.StringIO(shlex.split(piped[1])[0]))  # the pipe
        monkeypatch.setattr(sys, "argv", shlex.split(piped[2] if piped else line))
        monkeypatch.setenv("COLUMNS", "200")
        with pytest.raises(SystemExit) as stopped:
            main()
        told = capfdbinary.readouterr()
        assert stopped.value.code in (0, None), told.err.decode()
        return told.out.decode()

    monkeypatch.chdir(demo)
    return call


def test_the_readme_has_examples_of_every_way_to_ask() -> None:
    assert len(EXAMPLES) == BLOCK[1].count("tribute sql") >= 8
    for way in (
        "top_sources",
        "publisher_value",
        "statement_lines",
        "as_of",
        "--as-of",
        "--format csv",
        "parquet",
    ):
        assert any(way in example for example in EXAMPLES), way


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_of_the_readme_answers_with_rows(example: str, tribute, demo: Path) -> None:
    answer = tribute(example)
    if "--output" in example:
        path = demo / example.split("--output ")[1].split()[0]
        assert pq.read_table(path).num_rows > 0
    else:
        lines = [line for line in answer.splitlines() if re.search(r"\w", line)]
        assert len(lines) >= 2, answer  # a heading and a row


def test_the_schema_explains_tables_and_macros(tribute) -> None:
    told = tribute("tribute sql tribute-demo/project.yaml --schema --format json")
    rows = [json.loads(line) for line in told.splitlines()]
    assert {"influence", "usage", "runs", "top_sources(query)", "as_of(table, version)"} <= {
        r["table"] for r in rows
    }
    assert [row for row in rows if not row["meaning"]] == []


def test_upkeep_changes_no_answer(tribute, demo: Path) -> None:
    question = 'tribute sql tribute-demo/project.yaml "from influence order by all" --format csv'
    before, lake = tribute(question), Lake(demo / "tribute-demo" / "tribute-data" / "lake")
    (demo / "tribute-demo" / "tribute-data" / "lake" / "influence" / ".half-written").touch()
    assert "1 files of interrupted runs deleted" in tribute(
        "tribute doctor tribute-demo/project.yaml --clear-orphans --hours 0"
    )
    for command in ("compact", "checkpoint", "retain --days 0"):
        assert "influence" in tribute(f"tribute lake {command} tribute-demo/project.yaml")
    assert tribute(question) == before
    assert len(lake.files("influence")) == 1


def test_published_files_answer_too(tribute) -> None:
    tribute("tribute publish tribute-demo/project.yaml")
    for name in ("operator", "publisher-mike-bayer"):
        found = tribute(
            f"tribute sql tribute-demo/tribute-data/published/{name}.duckdb --format json "
            "\"select publisher_id, share from publisher_value('2026-10')\""
        )
        shares = [json.loads(line) for line in found.splitlines()]
        assert {"mike-bayer"} <= {row["publisher_id"] for row in shares}
        assert len(shares) == (10 if name == "operator" else 1)
