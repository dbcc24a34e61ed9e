"""Measured figures: each page shows those of a committed file, and each file names its machine."""

import json
import re
import subprocess
from pathlib import Path

import pytest
from docs.generate.equations import equation
from docs.generate.figures import FIGURE, TABLE, benchmark, markdown_table, with_figures

from tests.benchmarks.stale import changes_since, lines

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "docs" / "benchmarks").glob("*.json"))
PAGES = sorted((ROOT / "docs").rglob("*.md"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_says_when_where_and_of_which_code_it_was_measured(path: Path) -> None:
    figures = json.loads(path.read_text())
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", figures["date"])
    assert re.fullmatch(r"[0-9a-f]{7,40}", figures["commit"])
    assert figures["machine"] and figures["command"]
    assert [each for each in figures["depends_on"] if not (ROOT / each).exists()] == []
    for table in figures["tables"].values():
        assert {len(row) for row in table["rows"]} == {len(table["columns"])}


def test_every_figure_and_table_is_shown_somewhere() -> None:
    text = "\n".join(page.read_text() for page in PAGES)
    shown = {match.groups() for match in TABLE.finditer(text)}
    assert shown == {(path.stem, key) for path in FILES for key in benchmark(path.stem)["tables"]}
    named = {match.groups() for match in FIGURE.finditer(text)}
    assert {(path.stem, key) for path in FILES for key in benchmark(path.stem)["values"]} - named == set()


def test_the_readme_shows_the_committed_table() -> None:
    assert markdown_table("valuation", "misallocated") in (ROOT / "README.md").read_text()


def test_a_figure_that_no_file_has_fails_the_build() -> None:
    with pytest.raises(KeyError):
        with_figures("It took {{ demo.centuries }} s.", "../benchmarks/")


def test_equations_lower_and_raise() -> None:
    assert equation("x_{t+1} = (G + I)^{−1} g_s") == "x<sub>t+1</sub> = (G + I)<sup>−1</sup> g<sub>s</sub>"


def test_a_figure_is_stale_once_a_later_commit_changes_its_code(tmp_path: Path) -> None:
    def git(*words: str) -> str:
        identity = ["-c", "user.name=t", "-c", "user.email=t@t", "-c", "commit.gpgsign=false"]
        return subprocess.run(
            ["git", *identity, *words], cwd=tmp_path, check=True, capture_output=True, text=True
        ).stdout

    (tmp_path / "code").write_text("1")
    (tmp_path / "other").write_text("1")
    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "first")
    measured = git("rev-parse", "HEAD").strip()
    (tmp_path / "other").write_text("2")
    git("commit", "-qam", "another file")
    assert changes_since(measured, ["code"], tmp_path) == []
    (tmp_path / "code").write_text("2")
    git("commit", "-qam", "faster")
    [change] = changes_since(measured, ["code"], tmp_path) or []
    assert change.endswith("faster")
    assert changes_since("0" * 40, ["code"], tmp_path) is None
    told = list(lines("n", {"date": "2026-01-01", "commit": measured, "command": "make bench"}, [change]))
    assert "STALE: 1 commit changed" in told[0]
