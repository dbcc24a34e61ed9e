"""The example of a language model: from a model to words, passages and final statements, small and pretrained."""

import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch
from typer.testing import CliRunner

from tests.e2e.test_tokens import GAPS
from tribute_jobs.cli import app

EXAMPLES = Path(__file__).parents[2] / "examples"
MEASURED = "select query_id, measurement_nats from queries where origin = 'batch'"


def in_process(command: str, *more: str | Path, shown: bool = True) -> str:  # noqa: ARG001
    """A command of tribute in this process, which saves the start of another."""
    found = CliRunner().invoke(app, [command, *map(str, more)], catch_exceptions=False)
    assert found.exit_code == 0, found.output
    return found.stdout


@pytest.fixture(scope="module")
def example() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(EXAMPLES))
        found = importlib.import_module("fine_tuned_language_model")
        patch.setattr(found, "run", in_process)
        yield found


@pytest.fixture(scope="module")
def project(example: ModuleType, tmp_path_factory: pytest.TempPathFactory, ray_cluster: None) -> Path:  # noqa: ARG001
    """The month of the small model, closed."""
    folder = tmp_path_factory.mktemp("example") / "month"
    prepare = example.prepare

    def untracked(*given: Path | str | None) -> Path:
        """The project without MLflow, which takes seconds to make its database."""
        path: Path = prepare(*given)
        path.write_text(path.read_text() + "tracking: {enabled: false}\n")
        return path

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(example, "prepare", untracked)
        patch.setattr(sys, "argv", ["fine_tuned_language_model.py", "--folder", str(folder)])
        example.main()
    return folder / "project.yaml"


def cents(project: Path) -> tuple[int, set[str]]:
    """Amounts of the month's final statements, in cents, and what they are called."""
    files = sorted((project.parent / "tribute-data" / "statements" / "2026-10-v2").glob("*.json"))
    statements = [json.loads(path.read_text()) for path in files if path.stem != "bundle"]
    return sum(each["amount_minor"] for each in statements), {each["status"] for each in statements}


def test_the_month_is_closed_to_the_cent(project: Path) -> None:
    amount, status = cents(project)
    assert amount == 100_000
    assert status == {"final"}


def test_a_folder_that_is_there_is_left_alone(
    example: ModuleType, project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = project.read_bytes()
    monkeypatch.setattr(sys, "argv", ["fine_tuned_language_model.py", "--folder", str(project.parent)])
    with pytest.raises(SystemExit):
        example.main()
    assert "exists already. Choose another --folder" in capsys.readouterr().err
    assert project.read_bytes() == before


def test_the_model_that_answers_is_the_model_that_is_valued(example: ModuleType, project: Path) -> None:
    model, tokenizer = example.fine_tuned(project)
    measured = {row["query_id"]: row["measurement_nats"] for row in example.rows(project, MEASURED)}
    for line in (project.parent / "uses.jsonl").read_text().splitlines():
        use = json.loads(line)
        read = tokenizer(use["prompt"] + use["text"], return_tensors="pt", return_offsets_mapping=True)
        tokens, answered = read["input_ids"], read["offset_mapping"][0, 1:, 1] > len(use["prompt"])
        with torch.no_grad():
            logits = model(tokens).logits[0, :-1].log_softmax(-1)
        likelihood = logits.gather(1, tokens[0, 1:, None])[answered].sum()
        assert measured[use["query_id"]] == pytest.approx(float(likelihood), rel=1e-4)


def test_the_words_are_those_of_the_answer_and_add_up(example: ModuleType, project: Path) -> None:
    [gap] = example.rows(project, GAPS)
    assert gap["gap"] < 1e-3
    use = json.loads((project.parent / "uses.jsonl").read_text().splitlines()[0])
    found = example.words(project, use["query_id"])
    assert "".join(word for word, _ in found).endswith(use["text"].lstrip())
    sums = example.rows(
        project,
        "select source_id, avg(influence_nats::double) as nats from influence where query_id = "
        f"'{use['query_id']}' group by 1",
    )
    assert len(sums) == 8
    for row in sums:
        parts = [by_source.get(row["source_id"], 0.0) for _, by_source in found]
        assert row["nats"] == pytest.approx(sum(parts), abs=1e-3 * sum(map(abs, parts)))


@pytest.mark.slow
def test_the_notebook_runs_from_top_to_bottom(
    example: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    ray_cluster: None,  # noqa: ARG001
) -> None:
    cells = json.loads((EXAMPLES / "fine_tuned_language_model.ipynb").read_text())["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] for cell in cells if cell["cell_type"] == "code")
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "__notebook__"}
    exec("\n".join(code), names)
    assert cents(tmp_path / "month" / "project.yaml") == (100_000, {"final"})
    assert names["example"] is example


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_pretrained_model_is_fine_tuned_asked_and_paid(
    example: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pretrained model of the package index, as a user runs it; adapters learn, and own text is recognised."""
    monkeypatch.syspath_prepend(str(EXAMPLES.parent))
    page = importlib.import_module("docs.generate.language_model_page")
    base = subprocess.run(
        [sys.executable, str(EXAMPLES / "smollm2.py")], capture_output=True, text=True, check=True
    ).stdout.strip()
    program = [sys.executable, str(EXAMPLES / "fine_tuned_language_model.py"), base]
    subprocess.run([*program, "--folder", str(tmp_path / "month")], check=True)
    project = tmp_path / "month" / "project.yaml"
    assert cents(project) == (100_000, {"final"})
    found = page.measured(project)
    assert found.after < found.before - 0.05
    assert found.own_first > 2 * found.windows / 8  # twice what chance gives
    assert found.gap < 1e-3
    assert page.words_picture(example.words(project, "eigenvalues")).count("<text") > 10
