"""Whatever is wrong in whichever file: everything is named at once, and nothing was trained."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from tests.projects import SOURCES_CSV, settings, write_project
from tests.unit.jobs.commanding import tribute
from tribute.config import Project, load_project
from tribute_jobs.checks import QUERIED
from tribute_jobs.cli import app
from tribute_storage import open_tables

FAULTS: dict[str, tuple[dict[str, str], dict, list[str]]] = {
    "contents": (
        {"corpus.jsonl": '{"source": "a", "text": "x", "text": "y"}\n', "usage.jsonl": '{"query_id": "q"}\n'},
        {"training": {"checkpoint": "gone.safetensors"}, "simulation": {"base": "continue"}},
        ["corpus.jsonl, row 1", "usage.jsonl, row 1", "gone.safetensors cannot be read"],
    ),
    "money": (
        {
            "sources.csv": SOURCES_CSV.replace("recipes,planet,2/3", "recipes,planet,1/2"),
            "agreements.csv": "publisher_id,currency,rate\nplanet,EUR,2\n",
            "terms.csv": "source_id,licence\ndaily,MIT\n",
            "fees.csv": "customer_id,fee\na,1e3\n",
        },
        {
            "rights": {"sources": "sources.csv", "agreements": "agreements.csv", "terms": "terms.csv"},
            "money": {"fees": "fees.csv", "alarms": {"jmp": "1/4"}},
            "pool": {"amount": "10.005"},
            "policy": {"basis": "atribution"},
        },
        ["5/6", "agreements.csv", "terms.csv", "fees.csv, line 2", "10.005", "'atribution'", "money.alarms.jmp"],
    ),
    "settings": (
        {"usage.jsonl": '{"query_id": "q", "text": "abc", "time": null}\n'},
        {
            "task": {"name": "byte_lm", "options": {"widht": 8}},
            "attribution": {"method": "trakk"},
            "simulation": {},
            "pool": {"amount": "1", "currency": "EUX"},
        },
        ["have no time", "widht", "'trakk'", "EUX"],
    ),
}


def spoiled(folder: Path, name: str) -> tuple[Path, list[str]]:
    files, sections, said = FAULTS[name]
    path = write_project(folder)
    for file, content in files.items():
        (folder / file).write_text(content)
    path.write_text(yaml.safe_dump(settings(**sections)))
    return path, said


@pytest.mark.parametrize("name", FAULTS)
def test_all_problems_are_named_and_nothing_is_written(tmp_path: Path, name: str) -> None:
    path, said = spoiled(tmp_path, name)
    ended = tribute("run", path, "--period", "2026-10")
    assert ended.code == 2 and ended.text.startswith(f"press has {len(said)} problems, and nothing was run:\n")
    assert [each for each in said if each not in ended.text] == [], ended.text
    listed = tribute("check", path, "--period", "2026-10", "--json")
    wrong = [each["detail"] for each in json.loads(listed.text) if not each["fine"]]
    assert listed.code == 1 and len(wrong) == len(said)
    assert not (tmp_path / "tribute-data").exists()


def test_what_a_task_prints_is_no_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "talking_task.py").write_text(
        "from tribute.tasks import ByteLm\nprint('imported')\n\n\ndef talking(**options):\n"
        "    print('built')\n    return ByteLm(**options)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    path = write_project(tmp_path, task=settings()["task"] | {"name": "talking_task:talking"})
    for command in ("check", "doctor"):
        ended = CliRunner().invoke(app, [command, str(path), "--json"])
        assert "built" in ended.stderr
        assert [each["name"] for each in json.loads(ended.stdout) if each["name"] == "task"] == ["task"]


@pytest.mark.parametrize("stage", [*QUERIED, "train", "simulate"])
def test_every_command_that_runs_stages_checks_first(tmp_path: Path, stage: str) -> None:
    path, said = spoiled(tmp_path, "contents")
    month = () if stage in ("train", "simulate") else ("--period", "2026-10")
    ended = tribute(stage, path, *month, *(("--reason", "why") if stage == "restate" else ()))
    assert ended.code == 2 and [each for each in said if each not in ended.text] == [], ended.text
    assert not (tmp_path / "tribute-data").exists()


def test_a_refused_run_starts_no_ray(tmp_path: Path) -> None:
    path, said = spoiled(tmp_path, "money")
    program = (
        "import sys; from tribute_jobs.cli import main; sys.argv = ['tribute', *sys.argv[1:]]\n"
        "try: main()\nfinally: print('ray' in sys.modules, 'mlflow' in sys.modules)"
    )
    command = [sys.executable, "-c", program, "run", str(path), "--period", "2026-10"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (2, "False False\n"), ended.stderr
    assert [each for each in said if each not in ended.stderr] == []
    assert "Traceback" not in ended.stderr


def test_a_sound_project_is_told_what_it_will_do(tmp_path: Path) -> None:
    path = write_project(tmp_path)
    ended = tribute("check", path, "--period", "2026-10")
    assert ended.code == 0
    named = [line.split()[1] for line in ended.text.splitlines()]
    assert named == [
        *("corpus", "queries", "methods", "task", "model", "memory", "disk"),
        *("rights", "pools", "policy", "statements", "order"),
    ]
    assert all(line.startswith("  ok  ") for line in ended.text.splitlines())
    assert not (tmp_path / "tribute-data").exists()
    quiet = tribute("check", path, "--period", "2026-11")
    assert quiet.code == 0 and "note queries     No queries in 2026-11: every value is 0" in quiet.text


def test_a_finished_project_is_fine(finished: Project) -> None:
    ended = tribute("check", finished.workdir.parent / "project.yaml", "--period", "2026-10")
    assert ended.code == 0 and "4 sources, the same as when they were read" in ended.text


def test_a_month_is_warned_of_once_before_it_is_attributed(finished_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(finished_folder, tmp_path / "copy")
    ended = tribute("attribute", folder / "project.yaml", "--period", "2026-09", "--json")
    events = [json.loads(line) for line in ended.text.splitlines()]
    warned = [index for index, each in enumerate(events) if each["event"] == "warned"]
    assert warned == [0] and "No queries in 2026-09" in events[0]["message"]
    assert "There are some in 2026-10." in events[0]["message"]


@pytest.mark.usefixtures("ray_cluster")
@pytest.mark.parametrize(
    ("optimizer", "rate", "said"),
    [
        pytest.param("sgd", 100.0, "no longer finite", marks=pytest.mark.slow),
        ("adamw", 100.0, "diverged: the mean"),
        pytest.param("sgd", 1e-12, "learned nothing", marks=pytest.mark.slow),
    ],
)
def test_a_training_that_does_not_learn_stops_the_month(
    tmp_path: Path, optimizer: str, rate: float, said: str
) -> None:
    training = {"optimizer": optimizer, "learning_rate": rate, "batch_size": 8, "epochs": 1, "replicates": 1}
    path = write_project(tmp_path, training=training)
    for _ in range(2):
        ended = tribute("run", path, "--period", "2026-10")
        assert ended.code == 2 and said in ended.text and "training.learning_rate" in ended.text
    with open_tables(load_project(path).lake_root) as lake:
        tables = ("trajectories", "simulations", "influence", "valuations", "statements")
        counts = [lake.execute(f"select count(*) from {table}").fetchall() for table in tables]
    assert counts == [[(0,)]] * len(tables)
