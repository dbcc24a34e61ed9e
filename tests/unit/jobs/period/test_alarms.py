"""Alarms of a period from its statements, its customers in the lake and the limits of project.yaml."""

from datetime import UTC, datetime
from fractions import Fraction as F
from pathlib import Path

import pyarrow as pa
import pytest

from tests.statements import revised
from tests.statements import statements as issued
from tribute.config import Project, load_project
from tribute.errors import MoneyError
from tribute.royalty.document import Statement
from tribute.royalty.statement import AlarmLimits
from tribute_jobs.period.alarms import alarm_limits, period_alarms
from tribute_storage import SCHEMAS, Lake

RUNS = {"period": "2026-10", "simulate_run": "simulate-1", "value_run": "value-1"}
NOTHING = {
    "simulate_run": "simulate-1",
    "period": "2026-10",
    "level": "publisher",
    "publisher_id": "a",
    "split": "1",
}
NOTHING |= {"notion": "leave_one_out", "calibration": "{}", "share": "1", "queries": 11, "tokens": 0.0}
NOTHING |= dict.fromkeys(("token_share", "attribution_nats", "value_nats", "ci_low_nats", "ci_high_nats"), 0.0)
NOTHING |= {"shrinkage": 0.0}


def statements(**shares: str) -> list[Statement]:
    pools = (("EUR", "euros", 200), ("USD", "dollars", 200))
    return [
        revised(each, RUNS | {"share": shares[each.publisher_id]})
        for each in issued("2026-10", tuple(shares), 1, pools)
    ]


def use(run_id: str, query_id: str, customer: str | None, weight: float, origin: str = "batch") -> dict:
    found = {"run_id": run_id, "query_id": query_id, "customer_id": customer, "weight": weight, "origin": origin}
    found |= {"simulate_run": "simulate-1", "period": "2026-10", "time": datetime(2026, 10, 2, tzinfo=UTC)}
    found |= {"inclusion_probability": 1.0, "readout_probability": 1.0, "similarity": 1.0, "unlike_corpus": False}
    return found | {"measurement_nats": 0.0, "content_sha256": "0"}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A batch, its successor with other queries, what the service recorded, and the valuation of the last two."""
    (tmp_path / "project.yaml").write_text("name: p\ncorpus: {kind: installed_docs}\nworkdir: data\n")
    found = load_project(tmp_path / "project.yaml")
    runs = {
        "attribute-2": [use("attribute-2", "old", "nobody-now", 1000.0)],
        "attribute-1": [use("attribute-1", f"q{n}", f"c{n % 5}", 2.0) for n in range(10)]
        + [use("attribute-1", "anonymous", None, 500.0)],
        "attribute-3": [use("attribute-3", "s", "c3", 16.0, "service")],
    }
    for run_id, rows in runs.items():
        Lake(found.lake_root).append("queries", run_id, pa.Table.from_pylist(rows, SCHEMAS["queries"]))
    valued = {"run_id": "value-1", "attribute_runs": ["attribute-1", "attribute-3"], **NOTHING}
    Lake(found.lake_root).append("valuations", "value-1", pa.Table.from_pylist([valued], SCHEMAS["valuations"]))
    return found


def test_every_kind_of_alarm(project: Project) -> None:
    now, before = statements(a="2/3", b="1/3"), statements(a="1/4", b="3/4")
    found = period_alarms(project, now, before)
    assert [(each.code, each.subject) for each in found] == [
        ("top_share", "a"), ("jump", "a"), ("jump", "b"), ("flooding", "c3")
    ]  # fmt: skip
    assert found[-1].figure == F(20, 36), "of what was valued, without uses of nobody"
    assert [each.code for each in period_alarms(project, now, [])] == ["top_share", "flooding"]
    assert period_alarms(project, [], before) == []


def test_terms_that_nobody_can_read_are_named(project: Project, tmp_path: Path) -> None:
    (tmp_path / "terms.csv").write_text("source_id,license,tdm_reservation\nquiet,MIT,1\nloud,Mine,maybe\n")
    rights = project.rights.model_copy(update={"terms": tmp_path / "terms.csv"})
    found = period_alarms(project.model_copy(update={"rights": rights}), statements(a="2/3", b="1/3"))
    assert [(each.code, each.subject) for each in found] == [
        ("top_share", "a"), ("flooding", "c3"), ("terms.license", "loud"), ("terms.tdm_reservation", "loud")
    ]  # fmt: skip


def test_limits_come_from_the_project(project: Project) -> None:
    money = project.money.model_copy(update={"alarms": {"top_share": "0.7", "customer_part": " 3/5 "}})
    assert period_alarms(project.model_copy(update={"money": money}), statements(a="2/3", b="1/3")) == []
    assert alarm_limits({"jump": "0"}) == AlarmLimits(jump=F(0))


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ({"topshare": "0.5"}, r"money\.alarms\.topshare is unknown\. Did you mean top_share\?"),
        ({"x": "1"}, r"Known here: concentration, top_share"),
        ({"jump": "much"}, r"money\.alarms\.jump: 'much' is not a number such as 1, 0\.5 or 1/3"),
        ({"jump": "1/0"}, r"money\.alarms\.jump: '1/0' is not a number"),
        ({"jump": "-1"}, r"money\.alarms\.jump: '-1' is not a number"),
        ({"jump": "1_0"}, r"money\.alarms\.jump: '1_0' is not a number"),
        ({"jump": "1e-1"}, r"money\.alarms\.jump: '1e-1' is not a number"),
    ],
)
def test_bad_limits_are_refused(written: dict[str, str], said: str) -> None:
    with pytest.raises(MoneyError, match=said):
        alarm_limits(written)
