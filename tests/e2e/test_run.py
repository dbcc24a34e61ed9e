"""The whole chain: exact money, idempotence, and a kill at every stage."""

import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import ray

from tests.e2e.conftest import PERIOD
from tests.e2e.dying import Dying
from tests.e2e.tables import fingerprints
from tests.projects import RETRAINED, write_project
from tribute.config import Project, ValuationSettings, load_project
from tribute.errors import ValuationError
from tribute.royalty.document import read_statement
from tribute_jobs.inquiries.plan import COUNTS, print_plan
from tribute_jobs.pipeline import STAGES, run
from tribute_jobs.progress import JsonReporter
from tribute_jobs.running import running_stage
from tribute_storage import open_tables


def test_amounts_sum_to_the_pool_and_lines_to_their_statement(finished: Project) -> None:
    with open_tables(finished.lake_root) as lake:
        pool, paid, exponent = lake.execute(
            "select any_value(pool_minor), sum(amount_minor), any_value(currency_exponent) from statements"
        ).fetchone()
        assert (pool, paid, exponent) == (100001, 100001, 2)
        wrong = lake.execute(
            "select s.statement_id from statements s join statement_lines l using (statement_id) "
            "group by s.statement_id, s.amount_minor having sum(l.amount_minor) <> s.amount_minor"
        ).fetchall()
        assert wrong == []
        shares = lake.execute("select level, share from valuations").fetchall()
    for level in ("publisher", "line"):
        assert sum(Fraction(share) for each, share in shares if each == level) == 1


def test_a_range_of_money_is_the_pool_times_the_range_of_the_share(finished: Project) -> None:
    with open_tables(finished.lake_root) as lake:
        rows = lake.execute(
            "select s.json, share_low, share_high from statements s join valuations v "
            "on v.run_id = s.value_run and v.publisher_id = s.publisher_id where level = 'publisher'"
        ).fetchall()
        [(lines,)] = lake.execute("select count(share_low) from valuations where level = 'line'").fetchall()
    assert len(rows) == 3 and lines == 0
    for content, *ends in rows:
        statement = read_statement(content)
        interval, pool = statement.interval, statement.pools[0].pool_amount_minor
        assert [float(interval.share_low or ""), float(interval.share_high or "")] == pytest.approx(ends, rel=1e-8)
        assert 0 <= ends[0] <= statement.amount_minor / pool <= ends[1] <= 1
        amounts = [interval.amount_low_minor, interval.amount_high_minor]
        assert amounts == pytest.approx([pool * end for end in ends], abs=1)
        assert interval.amount_low_minor < statement.amount_minor < interval.amount_high_minor


def test_every_table_of_the_chain_is_filled_as_the_settings_say(finished: Project) -> None:
    with open_tables(finished.lake_root) as lake:
        counts = {
            table: lake.execute(f"select count(*) from {table}").fetchone()[0]
            for table in (
                "corpus_sources",
                "trajectories",
                "learning",
                "simulations",
                "estimates",
                "influence",
                "queries",
                "retrains",
                "measurements",
                "precisions",
                "statements",
            )
        }
        drift = lake.execute("select max(replay_drift) from simulations").fetchone()[0]
    assert counts == {
        "corpus_sources": 4,
        "trajectories": 2,
        "learning": 4 * 2,
        "simulations": 4 * 2 + 4,
        "estimates": 4 * 2 + 4,
        "influence": 4 * 2 * 12,
        "queries": 12,
        "retrains": 3,
        "measurements": 3,
        "precisions": 2,
        "statements": 3,
    }
    assert drift < 1e-4


def test_a_second_run_changes_nothing(finished: Project) -> None:
    before = fingerprints(finished.lake_root)
    outcome = run(finished, PERIOD, JsonReporter())
    assert not outcome.changed
    assert list(outcome.outputs) == list(STAGES)
    assert fingerprints(finished.lake_root) == before


@pytest.mark.slow
def test_the_number_of_workers_changes_no_bit(finished: Project, tmp_path: Path) -> None:
    project = load_project(write_project(tmp_path / "one", valuation=RETRAINED, cluster={"workers": 1}))
    run(project, PERIOD, JsonReporter())
    assert fingerprints(project.lake_root) == fingerprints(finished.lake_root)


@pytest.mark.slow
def test_killed_in_every_stage_it_ends_with_the_same_tables(
    finished: Project, tmp_path: Path, dying: Dying
) -> None:
    running = {"address": ray.get_runtime_context().gcs_address, "workers": 1}
    path = write_project(tmp_path / "killed", valuation=RETRAINED, cluster=running)
    command = ("run", path, "--period", PERIOD, "--json")
    assert [stage for stage in STAGES if dying.killed_before(stage, *command)] == list(STAGES)
    assert dying.killed_before("statements", *command)
    stopped = running_stage(load_project(path).workdir)
    assert stopped is not None and stopped.figures.stage == "settle" and stopped.text().startswith("stopped at ")
    run(load_project(path), PERIOD, JsonReporter())
    assert running_stage(load_project(path).workdir) is None
    assert fingerprints(load_project(path).lake_root) == fingerprints(finished.lake_root)


def test_a_plan_says_what_trainings_buy_before_and_after_the_simulation(
    finished: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fresh = load_project(write_project(tmp_path / "fresh", valuation=RETRAINED))
    told = []
    for project in (fresh, finished):
        print_plan(project, PERIOD, as_json=True)
        told.append(json.loads(capsys.readouterr().out))
    assert [plan["simulated"] for plan in told] == [False, True]
    assert [plan["known_trainings"] for plan in told] == [0, 3]
    for plan in told:
        assert [row["trainings"] for row in plan["plan"]] == list(COUNTS)
        assert (np.diff([row["expected_misallocation"] for row in plan["plan"]]) <= 0).all()
        taken = plan["memory"]
        assert taken["sources_at_once"] == 2 and 0 < taken["least_gib"] < taken["gib"] < 1
    print_plan(fresh.model_copy(update={"valuation": ValuationSettings()}), PERIOD, as_json=False)
    text = capsys.readouterr().out
    assert "5.0% asked for: " in text and "rests on token counts alone" in text
    assert "Simulations take 2 sources at once in each worker, 0.00 GiB" in text
    assert not fresh.workdir.exists()
    with pytest.raises(ValuationError, match="do not measure semivalues"):
        semivalues = fresh.simulation.model_copy(update={"notion": "banzhaf"})
        print_plan(fresh.model_copy(update={"simulation": semivalues}), PERIOD, as_json=False)


def test_stages_without_work_start_no_ray(finished: Project) -> None:
    path = finished.workdir.parent / "project.yaml"
    code = (
        "import sys; from pathlib import Path; from tribute.config import load_project;"
        "from tribute_jobs.pipeline import run; from tribute_jobs.progress import JsonReporter;"
        f"run(load_project(Path({str(path)!r})), {PERIOD!r}, JsonReporter(), 'settle');"
        "import ray; assert not ray.is_initialized()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
