"""The lake's commands on the demo: schema, upkeep, published files."""

import json
import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tribute_jobs.cli import main
from tribute_storage import Lake, open_tables

Tribute = Callable[[str], str]
PROJECT = "tribute-demo/project.yaml"


@pytest.fixture
def folder(demo: Path, tmp_path: Path) -> Path:
    """A copy of the folder in which the demo has run."""
    shutil.copytree(demo / "tribute-demo", tmp_path / "tribute-demo")
    return tmp_path


@pytest.fixture
def tribute(folder: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> Tribute:
    """Run a command line in that folder; what it printed."""

    def call(line: str) -> str:
        monkeypatch.setattr(sys, "argv", shlex.split(line))
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capfdbinary.readouterr()
        assert ended.value.code in (0, None), printed.err.decode()
        return printed.out.decode()

    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "200")
    return call


def test_the_schema_explains_tables_and_macros(tribute: Tribute) -> None:
    rows = [json.loads(line) for line in tribute(f"tribute sql {PROJECT} --schema --format json").splitlines()]
    assert {"influence", "usage", "runs", "top_sources(query)", "as_of(table, version)"} <= {
        row["table"] for row in rows
    }
    assert [row for row in rows if not row["meaning"]] == []


def test_sums_over_current_rows_are_the_reports(tribute: Tribute) -> None:
    def asked(sql: str) -> dict[str, float]:
        rows = [json.loads(line) for line in tribute(f'tribute sql {PROJECT} "{sql}" --format json').splitlines()]
        return {row["name"]: row["total"] for row in rows}

    report = json.loads(tribute(f"tribute report {PROJECT} --period 2026-10 --json"))
    sources = {each["source_id"]: each for publisher in report["publishers"] for each in publisher["sources"]}
    expected = {name: each["attribution_nats"] for name, each in sources.items()}
    by_source = "select source_id as name, sum(influence_nats) as total from influence group by all"
    assert asked(by_source) == pytest.approx(expected, rel=1e-9)
    joined = (
        "select i.source_id as name, count(*) as total from influence i join queries q using (run_id, query_id) "
        "group by all"
    )
    assert asked(joined) == dict.fromkeys(expected, report["queries"])
    lines = "select period as name, sum(amount_minor) as total from statement_lines group by all"
    assert asked(lines) == {"2026-10": 1_000_000}
    one = "select source_id as name, influence_nats as total from influence where query_id = 'sqlalchemy/0'"
    top = "select source_id as name, influence_nats as total from top_sources('sqlalchemy/0')"
    assert asked(one) == asked(top)


def test_upkeep_changes_no_answer(tribute: Tribute, folder: Path) -> None:
    question = f'tribute sql {PROJECT} "from influence order by all" --format csv'
    lake = Lake(folder / "tribute-demo" / "tribute-data" / "lake")
    before = tribute(question)
    left = folder / "tribute-demo" / "tribute-data" / "lake" / "influence" / ".half-written"
    left.touch()
    assert f"delete {left}" in tribute(f"tribute doctor {PROJECT} --repair --yes --hours 0")
    assert not left.exists()
    for command in ("compact", "checkpoint", "retain --days 0"):
        assert "influence" in tribute(f"tribute lake {command} {PROJECT}")
    assert tribute(question) == before
    assert len(lake.files("influence")) == 1


def test_published_files_hold_a_publisher_s_own_rows(tribute: Tribute) -> None:
    tribute(f"tribute publish {PROJECT}")
    for name, count in (("operator", 10), ("publisher-mike-bayer", 1)):
        answer = tribute(
            f"tribute sql tribute-demo/tribute-data/published/{name}.duckdb --format json "
            "\"select publisher_id, share from publisher_value('2026-10')\""
        )
        publishers = {json.loads(line)["publisher_id"] for line in answer.splitlines()}
        assert "mike-bayer" in publishers
        assert len(publishers) == count


def test_the_committed_picture_is_one_that_report_draws(tribute: Tribute, folder: Path) -> None:
    tribute(f"tribute report {PROJECT} --period 2026-10 --picture shares.svg")
    drawn = (folder / "shares.svg").read_text()
    committed = (Path(__file__).parents[2] / "docs" / "assets" / "demo-shares.svg").read_text()
    assert drawn.count('class="interval"') == committed.count('class="interval"') == 10
    assert drawn.partition("<title>")[0] == committed.partition("<title>")[0]


@pytest.mark.slow
def test_the_demo_at_its_own_size_divides_its_pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["tribute", "demo", "--folder", str(tmp_path), "--period", "2026-10"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code in (0, None)
    with open_tables(tmp_path / "tribute-data" / "lake") as lake:
        assert lake.execute("select count(*), sum(amount_minor) from statements").fetchall() == [(10, 1_000_000)]
