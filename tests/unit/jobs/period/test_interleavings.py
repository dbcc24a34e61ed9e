"""Two folders on one lake settle, close or restate a month at once, step by step in the order of a seed.

One of them issues each version. The other one is told, and ends well when its command runs again.
"""

import io
import multiprocessing
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pytest
from rich.console import Console

from tests.projects import write_project
from tests.statements import statements
from tests.unit.jobs.period import interleaved
from tests.unit.jobs.period.interleaved import interleave
from tests.unit.storage.rows import any_rows
from tribute.catalog import Valuation, lineage, read_valuation
from tribute.config import Project, load_project
from tribute.errors import MoneyError
from tribute.royalty.account import closing_statements, owed
from tribute.royalty.proof import new_key
from tribute_jobs.context import open_context
from tribute_jobs.period import closing
from tribute_jobs.period.ledger import read_ledger
from tribute_jobs.period.sequence import require_order
from tribute_jobs.period.settlement import Settlement, commit, settlement
from tribute_jobs.period.statements import Version, read_period
from tribute_jobs.progress import PeopleReporter
from tribute_jobs.reversal import double_finals
from tribute_storage import SCHEMAS, Lake, LakeConflict, connect

FIRST, LATER = "2026-10", "2026-11"
POOL, OTHER, ANOTHER = "1000.01", "2000.02", "3000.05"
PAID = (("planet", "daily"), ("kitchen", "recipes"), ("arena", "sports"))
Command = Callable[[Project], object]


def settle(month: str) -> Command:
    """The stage `settle`, without its files."""

    def run(project: Project) -> None:
        period = read_period(project, month)
        require_order(project, month, "settle")
        if not period.closed:
            lake = Lake(project.lake_root)
            valuation = Valuation(f"value-{month}", month, read_valuation(lake, f"value-{month}"), False)
            settled = settlement(period, valuation)
            if not lake.committed("statements", settled.version.run_id):
                commit(lake, settled, period.basis)

    return run


def close(month: str) -> Command:
    def run(project: Project) -> None:
        with open_context(project, PeopleReporter(Console(file=io.StringIO()))) as context:
            closing.close(context, read_period(project, month), f"value-{month}")

    return run


def restate(month: str) -> Command:
    def run(project: Project) -> None:
        with open_context(project, PeopleReporter(Console(file=io.StringIO()))) as context:
            closing.restate(
                context, read_period(project, month), f"value-{month}", f"as {project.workdir.name} has it"
            )

    return run


class Race(NamedTuple):
    """What was done before, in the first folder and with `POOL`; what both do at once, and with which pools."""

    before: tuple[Command, ...]
    here: Command
    there: Command
    pools: tuple[str, str] = (POOL, POOL)


CLOSED = (settle(FIRST), close(FIRST))
RACES = {
    "first drafts": Race((), settle(FIRST), settle(FIRST), (POOL, OTHER)),
    "closing the first month": Race((settle(FIRST),), close(FIRST), close(FIRST)),
    "closing a later month": Race((*CLOSED, settle(LATER)), close(LATER), close(LATER)),
    "restating": Race(CLOSED, restate(FIRST), restate(FIRST), (OTHER, ANOTHER)),
    "a new draft while closing": Race((settle(FIRST),), close(FIRST), settle(FIRST), (POOL, OTHER)),
    "restating while the next month is closed": Race(
        (*CLOSED, settle(LATER)), close(LATER), restate(FIRST), (POOL, OTHER)
    ),
}


def valued(lake: Lake, project: Project) -> None:
    """A corpus and a valuation of every month, all of one value."""

    def append(table: str, run_id: str, *changes: dict[str, object]) -> None:
        plain = any_rows(table).to_pylist()[0] | {"run_id": run_id}
        lake.append(table, run_id, pa.Table.from_pylist([plain | each for each in changes], SCHEMAS[table]))

    runs = lineage(project)
    append("corpus_sources", runs.corpus_run, *({"source_id": source, "license": "MIT"} for _, source in PAID))
    figures = {"tokens": 1_000.0, "attribution_nats": 1.0, "value_nats": 1.0, "ci_low_nats": 0.5, "shrinkage": 0.0}
    rests = {
        "simulate_run": runs.simulate_run,
        "attribute_runs": [],
        "rights_run": "rights",
        "estimates_run": None,
    }
    for month in (FIRST, LATER):
        rows = [
            {"level": level, "publisher_id": payee, "source_id": source if level == "line" else None, "split": "1"}
            | {"queries": 12, "ci_high_nats": 1.5, "period": month}
            | figures
            | rests
            for payee, source in PAID
            for level in ("publisher", "line")
        ]
        append("valuations", f"value-{month}", *rows)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project that names a file of its own beside the settings that both folders have."""
    return load_project(write_project(tmp_path_factory.mktemp("template"), name="press"))


def folder(template: Project, root: Path, name: str, amount: str = POOL) -> Project:
    """A folder on the lake under `root`; what is settled in it rests on a file that is named after it."""
    fees = root / name / f"fees-{name}.csv"
    fees.parent.mkdir(parents=True, exist_ok=True)
    fees.write_text("customer_id,fee\nsomebody,1\n")
    pool = template.pool.model_copy(update={"amount": amount})
    changes = {"workdir": root / name, "lake": str(root / "lake"), "pool": pool}
    return template.model_copy(update=changes | {"money": template.money.model_copy(update={"fees": fees})})


@pytest.fixture(scope="module")
def prepared(template: Project, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """For every race the lake and both folders before it. One key signs where a month was closed already."""
    found = {}
    for name, race in RACES.items():
        root = tmp_path_factory.mktemp("race")
        here, there = (folder(template, root, each) for each in ("here", "there"))
        valued(Lake(here.lake_root), here)
        if race.before[1:]:
            pem = new_key()[0]
            for each in (here, there):
                (each.workdir / "signing-key.pem").write_text(pem)
        for command in race.before:
            command(here)
        found[name] = root
    return found


def require_whole(project: Project) -> None:
    """The books after any number of commands: one run a version, a bundle each, sums, postings, what is owed."""
    assert double_finals(project) == []
    with connect(project.lake_root) as connection:
        runs = connection.execute(
            "select period, statement_version from history.statements group by all "
            "having count(distinct run_id) > 1"
        ).fetchall()
        sums = connection.execute(
            "select run_id from history.statements group by 1 having sum(amount_minor) <> any_value(pool_minor)"
        ).fetchall()
        strange = connection.execute(
            "select run_id from statement_lines anti join history.statements using (run_id)"
        ).fetchall()
        lines = connection.execute(
            "select (select sum(amount_minor) from statement_lines) - (select sum(amount_minor) from statements)"
        ).fetchone()
        unsigned = connection.execute(
            "select distinct period, statement_version from history.statements where status = 'final' except all "
            "select period, statement_version from bundles"
        ).fetchall()
        bundles = connection.execute("select count(*) from history.bundles").fetchone()
        finals = connection.execute(
            "select count(distinct run_id) from history.statements where status = 'final'"
        ).fetchone()
    assert (runs, sums, strange, unsigned) == ([], [], [], []) and lines in ((0,), (None,)) and bundles == finals
    final = read_period(project, LATER).final_statements()
    posted = {entry.statement_id for entry in read_ledger(project)}
    assert posted == {each.statement_id for each in closing_statements(final)}
    newest = {(each.period, each.key): each.amount_minor for each, _ in final}
    paid = sum(
        each.amount_minor + sum(a.amount_minor for a in each.balance.adjustments)
        for each in closing_statements(final)
    )
    carried = sum(each.amount_minor for adjustments in owed(final, "2026-12").values() for each in adjustments)
    assert paid + carried == sum(newest.values()), "what was paid and is still owed is what the versions say"


@pytest.mark.parametrize("seeds", [range(1), pytest.param(range(1, 34), marks=pytest.mark.slow)], ids=len)
@pytest.mark.parametrize("name", RACES)
def test_of_two_folders_one_issues_a_version_and_the_other_is_told(
    name: str,
    seeds: range,
    template: Project,
    prepared: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tribute_jobs.period.proof.write_files", lambda *_: None)  # they come after all commits
    race = RACES[name]
    for seed in seeds:
        root = tmp_path / str(seed)
        shutil.copytree(prepared[name], root)
        folders = [folder(template, root, *each) for each in zip(("here", "there"), race.pools, strict=True)]
        commands = [(race.here, folders[0]), (race.there, folders[1])]
        raised = interleave(seed, [lambda c=c, f=f: c(f) for c, f in commands], monkeypatch)
        assert None in raised, f"seed {seed}: both were refused: {raised}"
        for error, (command, project) in zip(raised, commands, strict=True):
            if error is not None:
                assert isinstance(error, LakeConflict | MoneyError), f"seed {seed}: {error!r}"
                with suppress(MoneyError):  # it is closed, or says the same already
                    command(project)
        require_whole(folders[0])
        shutil.rmtree(root)


def test_of_two_processes_that_race_one_issues_a_version(tmp_path: Path) -> None:
    """The month of three projects, at the same moment: the first ever, and one whose draft both have read."""
    paths = [str(write_project(tmp_path / str(number))) for number in range(3)]
    for path in paths[1:]:
        project = load_project(Path(path))
        drafts = [each.model_copy(update={"status": "draft"}) for each in statements(FIRST, ("a",), 1)]
        commit(Lake(project.lake_root), Settlement(Version("settle-draft", tuple(drafts))))
    forking = multiprocessing.get_context("forkserver")
    forking.set_forkserver_preload([interleaved.__name__])
    together, outcomes = forking.Barrier(2), forking.SimpleQueue()
    racing = [
        forking.Process(target=interleaved.issue_rounds, args=(together, outcomes, paths, name)) for name in "xy"
    ]
    for process in racing:
        process.start()
    for process in racing:
        process.join()
    winners = [outcomes.get() for _ in paths]
    assert [process.exitcode for process in racing] == [0, 0] and outcomes.empty()
    for path, name in winners:
        versions = read_period(load_project(Path(path)), FIRST).own_final_versions
        assert [each.run_id for each in versions] == [f"settle-{name}"]
