"""Influences on each token of a batch: what they add up to, when they may be asked for, and who is refused."""

import json
import shutil
from pathlib import Path

import pytest

from tests.e2e.conftest import PERIOD
from tribute.config import Project, load_project
from tribute.errors import ConfigError
from tribute_jobs.compute.tokens import require_tokens
from tribute_jobs.pipeline import run
from tribute_jobs.progress import JsonReporter
from tribute_jobs.service.pages.tokens import recorded_tokens
from tribute_jobs.service.views.query import query_view
from tribute_storage import open_tables, query

SUMS = """
select i.source_id, i.replicate, i.query_id, i.influence_nats::double as whole,
    sum(t.influence_nats::double) as parts, sum(abs(t.influence_nats::double)) as size,
    min(position) as first, max(position) as last, count(distinct position) = count(*) as once
from influence i left join influence_tokens t using (run_id, source_id, replicate, query_id)
where i.run_id = $1 group by all
"""

GAPS = """
select max(abs(i.influence_nats - p.nats) / p.size) as gap from influence i join (
    select run_id, source_id, query_id, sum(influence_nats) as nats, sum(abs(influence_nats)) as size
    from influence_tokens group by all
) p using (run_id, source_id, query_id)
"""
"""Over the views of what is current."""


@pytest.fixture(scope="module")
def project(finished_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A settled month that is asked for its tokens afterwards."""
    folder = Path(shutil.copytree(finished_folder, tmp_path_factory.mktemp("tokens") / "press"))
    return with_tokens(load_project(folder / "project.yaml"))


def with_tokens(project: Project) -> Project:
    return project.model_copy(update={"readout": project.readout.model_copy(update={"tokens": True})})


def test_tokens_add_up_to_the_influence_of_every_query_source_and_replicate(project: Project) -> None:
    before = run(project.model_copy(update={"readout": type(project.readout)()}), PERIOD, JsonReporter())
    first = run(project, PERIOD, JsonReporter())
    assert not before.changed
    assert {name for name, output in first.outputs.items() if output.new} == {"attribute"}
    assert {n: o.run_id for n, o in first.outputs.items()} == {n: o.run_id for n, o in before.outputs.items()}
    run_id = first.outputs["attribute"].run_id
    with open_tables(project.lake_root) as lake:
        sums = lake.execute(SUMS, [run_id]).fetchall()
        measured = dict(
            lake.execute("select query_id, measurement_nats from queries where run_id = $1", [run_id]).fetchall()
        )
    assert {query_id for _, _, query_id, *_ in sums} == set(measured)
    for _, _, query_id, whole, parts, size, begin, end, once in sums:
        assert whole == pytest.approx(parts, abs=1e-5 * (size + abs(measured[query_id]) / 10))
        assert begin == 1  # nothing predicts the first byte
        assert once
        assert size > abs(parts)  # some tokens were helped, others not
        assert end > 1
    assert query(project.lake_root, GAPS)["gap"][0].as_py() < 1e-3
    assert not run(project, PERIOD, JsonReporter()).changed


def test_the_page_of_a_query_colours_its_words_by_what_the_lake_has(project: Project) -> None:
    run_id = run(project, PERIOD, JsonReporter(), last="attribute").outputs["attribute"].run_id
    view = query_view(project, "q003", passages=0)
    shown = recorded_tokens(project, view)
    assert shown is not None and view.attribute_run == run_id
    texts = (json.loads(line) for line in (project.workdir.parent / "usage.jsonl").read_text().splitlines())
    [text] = [row["text"] for row in texts if row["query_id"] == "q003"]
    assert "".join(each.text for each in shown.tokens) == text
    first, *words = text.split()
    assert [each.text.strip() for each in shown.tokens] == [first, *words]
    with open_tables(project.lake_root) as lake:
        largest = lake.execute(
            "select source_id from (select source_id, position, avg(influence_nats) as nats from influence_tokens "
            "where run_id = $1 and query_id = 'q003' and position < $2 group by all) group by 1 "
            "order by sum(nats) desc limit 1",
            [run_id, len(shown.tokens[0].text)],
        ).fetchall()
    assert shown.tokens[0].source == largest[0][0]
    assert recorded_tokens(project, view.model_copy(update={"query_id": "q999"})) is None
    assert recorded_tokens(project, view.model_copy(update={"content_sha256": "0" * 64})) is None


def test_an_estimator_has_no_influences_on_tokens(project: Project) -> None:
    simulation = project.simulation.model_copy(update={"mode": "trak"})
    with pytest.raises(ConfigError, match=r"attribution\.method trak has no influences on tokens"):
        require_tokens(project.model_copy(update={"simulation": simulation}))


def test_a_task_that_measures_no_positions_is_refused_by_name(project: Project) -> None:
    task = project.task.model_copy(update={"name": "classifier", "options": {"features": 4, "classes": 2}})
    with pytest.raises(ConfigError, match="task Classifier has no token_measurement"):
        require_tokens(project.model_copy(update={"task": task}))
