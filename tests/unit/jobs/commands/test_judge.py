"""`tribute judge`: a file of scores gets the row that the function gives, or is refused by name."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.banks import EXAMPLES, QUERIES, linear_bank
from tests.docs.blocks import blocks
from tests.unit.jobs.commanding import tribute
from tribute.evaluation.bank import PublishedFigure, RetrainBank
from tribute.evaluation.bank_scores import BankScores, bank_scores
from tribute_jobs.commands.judge import FIGURES

PAGE = Path(__file__).parents[4] / "docs" / "benchmarks" / "canonical.md"
PUBLISHED = PublishedFigure(method="TRAK, 50 models", metric="lds_half_other_seed", value=0.448, source="a chart")


def written(folder: Path) -> tuple[RetrainBank, np.ndarray]:
    """A bank in `bank`, and scores of it in scores.parquet and scores.npy."""
    bank, effect_NQ = linear_bank(noise=1.0)
    settings = bank.settings.model_copy(update={"published": [PUBLISHED]})
    replace(bank, settings=settings).write(folder / "bank")
    pair = np.arange(EXAMPLES * QUERIES)
    columns = {"source": pair // QUERIES, "query": pair % QUERIES, "score": effect_NQ.ravel()}
    pq.write_table(pa.table(columns), folder / "scores.parquet")
    np.save(folder / "scores.npy", effect_NQ)
    return bank, effect_NQ


def test_the_recipe_of_the_page_gives_what_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The lines that compute a figure by hand, on another bank."""
    bank, effect_NQ = written(tmp_path)
    assert bank.settings.own_seed == 0
    [recipe] = [each.body for each in blocks(PAGE.read_text()) if each.title == "recompute.py"]
    monkeypatch.chdir(tmp_path)
    exec(recipe.replace("tests/benchmarks/canonical/bank/logistic.npz", "bank/linear.npz"), {})
    figure = bank_scores(effect_NQ, bank).lds_half_other_seed
    assert figure is not None and float(capsys.readouterr().out) == pytest.approx(figure.value, abs=1e-12)


def judged(folder: Path, file: str, *options: str, setting: str = "linear") -> tuple[int, str]:
    ended = tribute("judge", str(folder / file), "--setting", setting, "--bank", str(folder / "bank"), *options)
    return ended.code, ended.text


def test_both_kinds_of_files_get_the_row_of_the_function(tmp_path: Path) -> None:
    bank, effect_NQ = written(tmp_path)
    expected = bank_scores(effect_NQ, bank).as_row()
    for file in ("scores.parquet", "scores.npy"):
        code, text = judged(tmp_path, file, "--json")
        found = json.loads(text)
        assert (code, found.pop("setting"), found.pop("unordered_queries")) == (0, "linear", 0)
        assert found.pop("published") == [PUBLISHED.model_dump()]
        assert found == expected


def test_the_table_shows_every_figure_beside_what_is_published(tmp_path: Path) -> None:
    bank, effect_NQ = written(tmp_path)
    code, text = judged(tmp_path, "scores.parquet")
    assert code == 0
    for name, figure in bank_scores(effect_NQ, bank)._asdict().items():
        [line, *_] = [line for line in text.splitlines() if FIGURES[name] in line]
        assert f"{figure.value:.3f}" in line and f"{figure.low:.3f} to {figure.high:.3f}" in line
    assert "TRAK, 50 models" in text and "0.448" in text and "a chart" in text
    assert "negate" not in text
    assert set(FIGURES) == set(BankScores._fields)


def test_a_query_without_order_and_the_sign_of_a_loss_are_said(tmp_path: Path) -> None:
    _, effect_NQ = written(tmp_path)
    np.save(tmp_path / "loss.npy", -effect_NQ * (np.arange(QUERIES) > 0))
    _, text = judged(tmp_path, "loss.npy")
    assert f"1 of {QUERIES} queries give all examples one score" in text
    assert "Scores of a loss have the other sign: negate them" in text
    np.save(tmp_path / "flat.npy", np.zeros_like(effect_NQ))
    code, text = judged(tmp_path, "flat.npy")
    assert code == 0
    assert text.count("no order") == len(FIGURES)


def test_faults_are_named(tmp_path: Path) -> None:
    written(tmp_path)
    _, text = judged(tmp_path, "scores.npy", setting="mlp")
    assert "has no setting 'mlp'. There are: linear" in text
    _, text = judged(tmp_path, "absent.parquet")
    assert "absent.parquet: there is no such file" in text
    (tmp_path / "bank" / "linear.npz").write_bytes(b"other")
    _, text = judged(tmp_path, "scores.npy")
    assert "linear.npz has SHA-256" in text
