"""A run, for the operator: what it rests on, what that did and cost, its certificate, its place in MLflow."""

import json
import sqlite3
from contextlib import closing
from datetime import datetime
from typing import NamedTuple

from tribute.config import Project
from tribute.ids import excerpt
from tribute.royalty.document import Repetition
from tribute.tracking.places import database, experiment_name, read_only
from tribute_jobs.service.missing import Missing
from tribute_jobs.service.views.figures import View
from tribute_jobs.service.views.scope import Row, rows, scoped

_EDGES = """
select distinct run_id, value_run as needs from statements
union select distinct run_id, simulate_run from valuations
union select distinct run_id, unnest(attribute_runs) from valuations
union select distinct run_id, retrain_run from valuations
union select distinct run_id, rights_run from valuations
union select distinct run_id, train_run from simulations
union select distinct run_id, corpus_run from trajectories
union select distinct run_id, simulate_run from queries
union select distinct run_id, attribute_run from precisions
"""
_COMMITTED = "select run_id, max(committed_at) as committed from runs group by run_id"
_FACTS = """
select run_id, 'statements' as kind, count(*)::double as counted, max(statement_version)::double as number,
    any_value(period) as period, any_value(status) as text from statements group by run_id
union all select run_id, 'value', max(queries), max(expected_misallocation), any_value(period),
    any_value(notion) from valuations where level = 'publisher' group by run_id
union all select run_id, 'attribute', count(*), avg(unlike_corpus::int), any_value(period), any_value(origin)
    from queries group by run_id
union all select run_id, 'retrain', max(trainings), min_by(expected_misallocation, -step), any_value(period), ''
    from precisions group by run_id
union all select run_id, 'simulate', count(*), count(failed_step), '', any_value(mode) from simulations
    group by run_id
union all select run_id, 'train', count(*), max(steps), '', '' from trajectories group by run_id
union all select run_id, 'corpus', count(*), sum(tokens), '', '' from corpus_sources group by run_id
union all select run_id, 'rights', count(*), count(distinct publisher_id), '', '' from rights group by run_id
"""
_SIMULATED = """
select s.run_id, sum(s.horizon_steps)::double / any_value(t.steps) as trainings from simulations s
join (select run_id, max(steps) as steps from trajectories group by run_id) t on t.run_id = s.train_run
group by s.run_id
"""
ORDER = ("settle", "value", "retrain", "attribute", "simulate", "train", "corpus", "rights")


class RunStage(View):
    """A run in the chain, what it did, and what it cost in trainings of the model where it trained anything."""

    stage: str
    run_id: str
    committed: datetime | None
    period: str
    words: str
    trainings: float | None


class CertificateView(View):
    """What really retraining the model said about the values that rest on a simulation.

    ``repetition``: how it was trained without sources; `replayed` and `continued` are adopted models.
    """

    certificate_id: str
    period: str
    misallocated: float
    misallocated_by_tokens: float
    ceiling: float | None
    coverage_95: float
    seeds: int
    repetition: Repetition


class TrackedPlace(View):
    """Where MLflow has a valuation. `url` is None if no server runs: `command` starts one."""

    url: str | None
    command: str
    title: str


class RunView(View):
    """A run with everything that it rests on, and the runs that rest on it."""

    run_id: str
    stages: tuple[RunStage, ...]
    rested_on_by: tuple[str, ...]
    trainings: float
    certificates: tuple[CertificateView, ...]
    tracked: TrackedPlace | None


class _Read(NamedTuple):
    edges: list[Row]
    committed: dict[str, datetime]
    facts: dict[str, Row]
    simulated: dict[str, float]
    certificates: list[Row]


def run_view(project: Project, run_id: str) -> RunView:
    """A run of any stage from corpus to settle. It tells of all publishers.

    Raises:
        Missing: the lake has no such run.
    """
    read = _read(project)
    if run_id not in read.committed:
        raise Missing(f"The lake has no run {excerpt(run_id)}. See: tribute sql PROJECT.yaml 'from runs'")
    chain = _chain(run_id, read.edges)
    stages = sorted((_stage(each, read) for each in chain), key=_rank)
    simulations = {each.run_id for each in stages if each.stage == "simulate"}
    months = {each.period for each in stages if each.period}
    values = [each.run_id for each in stages if each.stage == "value"]
    return RunView(
        run_id=run_id,
        stages=tuple(stages),
        rested_on_by=tuple(sorted({each["run_id"] for each in read.edges if each["needs"] == run_id})),
        trainings=sum(each.trainings or 0.0 for each in stages),
        certificates=tuple(
            _certificate(each)
            for each in read.certificates
            if each["simulate_run"] in simulations and each["period"] in (months or {each["period"]})
        ),
        tracked=_tracked(project, values[0]) if values else None,
    )


def _read(project: Project) -> _Read:
    tables = ("statements", "valuations", "simulations", "trajectories", "queries", "precisions", "corpus_sources")
    with scoped(project, None, *tables, "rights", "certificates") as connection:
        return _Read(
            [each for each in rows(connection, _EDGES) if each["needs"]],
            {each["run_id"]: each["committed"] for each in rows(connection, _COMMITTED)},
            {each["run_id"]: each for each in rows(connection, _FACTS)},
            {each["run_id"]: each["trainings"] for each in rows(connection, _SIMULATED)},
            rows(connection, "from certificates order by period desc, run_id"),
        )


def _chain(run_id: str, edges: list[Row]) -> list[str]:
    """A run and everything that it rests on, each once."""
    found, todo = dict[str, None](), [run_id]
    while todo:
        now = todo.pop()
        if now not in found:
            found[now] = None
            todo += [each["needs"] for each in edges if each["run_id"] == now]
    return list(found)


def _stage(run_id: str, read: _Read) -> RunStage:
    fact = read.facts.get(run_id)
    stage = run_id.partition("-")[0]
    trained = fact["counted"] if fact and fact["kind"] in ("train", "retrain") else read.simulated.get(run_id)
    return RunStage(
        stage=stage,
        run_id=run_id,
        committed=read.committed.get(run_id),
        period=fact["period"] if fact else "",
        words=_words(fact) if fact else "",
        trainings=trained,
    )


def _words(fact: Row) -> str:
    counted, number, text = fact["counted"] or 0, fact["number"], fact["text"]
    sentences = {
        "statements": lambda: f"{counted:,.0f} statements, version {number:.0f}, {text or 'draft'}",
        "value": lambda: f"{counted:,.0f} queries valued, {text.replace('_', ' ')}" + _misplaced(number),
        "attribute": lambda: f"{counted:,.0f} queries ({text}), {number or 0:.1%} unlike the corpus",
        "retrain": lambda: f"{counted:,.1f} trainings without some sources" + _misplaced(number),
        "simulate": lambda: f"{counted:,.0f} responses, {text}, {number:.0f} failed",
        "train": lambda: f"{counted:,.0f} trainings of {number:,.0f} steps",
        "corpus": lambda: f"{counted:,.0f} sources, {number:,.0f} tokens",
        "rights": lambda: f"{counted:,.0f} rights of {number:,.0f} publishers",
    }
    return sentences[fact["kind"]]()


def _misplaced(part: float | None) -> str:
    return "" if part is None else f", {part:.1%} of the pool expected in the wrong place"


def _rank(stage: RunStage) -> tuple[int, str]:
    return (ORDER.index(stage.stage) if stage.stage in ORDER else len(ORDER)), stage.run_id


def _certificate(row: Row) -> CertificateView:
    return CertificateView(
        certificate_id=row["run_id"],
        period=row["period"],
        misallocated=row["misallocated_pool"],
        misallocated_by_tokens=row["token_count"],
        ceiling=row["ceiling"],
        coverage_95=row["coverage_95"],
        seeds=row["seeds"],
        repetition=json.loads(row["json"])["retrains"].get("repetition", "retrained"),
    )


def _tracked(project: Project, value_run: str) -> TrackedPlace | None:
    """Where MLflow has a valuation; its own database is asked, a tracking server is not."""
    if not project.tracking.enabled:
        return None
    uri = project.tracking.uri
    if uri is not None:
        url = f"{uri.rstrip('/')}/" if uri.startswith(("http://", "https://")) else None
        return TrackedPlace(
            url=url, command=f"mlflow ui --backend-store-uri {uri}", title=experiment_name(project)
        )
    path = database(project)
    if path is None:
        return None
    command = f"mlflow ui --backend-store-uri sqlite:///{path}"
    try:
        with closing(read_only(path)) as connection:
            found = connection.execute(
                "select r.name from runs r join tags t on t.run_uuid = r.run_uuid "
                "where t.key = 'tribute.run_id' and t.value = ?",
                [value_run],
            ).fetchone()
    except sqlite3.Error:
        return None
    return None if found is None else TrackedPlace(url=None, command=command, title=str(found[0]))
