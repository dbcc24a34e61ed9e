"""Training examples of a source that an estimator holds responsible for an answer; which estimators there are.

Legend: k examples.
"""

import inspect
import json
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from tribute.catalog import estimator_run, lineage, period_queries, recorded_replicates, simulation_runs
from tribute.cluster import named
from tribute.config import Project
from tribute.corpus import QueryTable, array_queries, text_format, text_queries
from tribute.corpus.encoding import BYTES, Encoder
from tribute.errors import ConfigError
from tribute.estimators import ESTIMATORS, Trained, build_estimator, fit_once, most_influential
from tribute.ids import excerpt, listed, nfc
from tribute.readout import QueryRows
from tribute.training import Recipe, TrainingSet, snapshot_training_set
from tribute_jobs.printing import printable, styled

SHOWN = 300
"""Characters of an example's text."""


def batch_query(project: Project, period: str, query_id: str) -> QueryTable:
    """A query of a month, as its files have it; one.

    Raises:
        ConfigError: there is no such query.
    """
    queries, query_id = period_queries(project, period), nfc(query_id)
    if query_id not in queries.query_ids:
        raise ConfigError(f"Period {period} has no query {excerpt(query_id)}. It has: {listed(queries.query_ids)}")
    return queries.take([queries.query_ids.index(query_id)])


def kept_query(project: Project, query_id: str, content: Mapping[str, Any]) -> QueryTable:
    """A query from its content, as the service keeps it: `text` and `prompt`, or `features` and `label`; one."""
    form = text_format(project.corpus)
    if form is None:
        return array_queries([query_id], [content["features"]], [content["label"]])
    return text_queries([query_id], [content["text"]], form, prompts=[content.get("prompt")])


def influential_examples(
    project: Project, query: QueryTable, source_id: str, name: str, count: int
) -> list[dict[str, Any]]:
    """The first replicate's most influential examples: place in the source, influence, content; largest first.

    The estimator that is paid by has the project's options, another one its defaults. What it fits is kept, so
    that the next question is answered at once.

    Args:
        query: one.

    Raises:
        ConfigError: no such estimator or source, or the model is not trained yet.
    """
    paid_by, *_ = simulation_runs(project)
    run = paid_by if name == project.attribution.method else estimator_run(project, name)
    estimator = build_estimator(name, run.settings.options)
    replicates = recorded_replicates(project)
    if not replicates:
        raise ConfigError("The model is not trained yet. Run: tribute train PROJECT.yaml")
    data, first = snapshot_training_set(project.artifacts / lineage(project).corpus_run), replicates[0]
    source_id = nfc(source_id)
    if source_id not in data.source_ids:
        raise ConfigError(f"There is no source {excerpt(source_id)}. There are: {listed(data.source_ids)}")
    recordings = project.training.recordings
    recipe = Recipe(
        project.task, project.training, data, first.seed, recording=recordings[0] if recordings else None
    )
    first.verify()
    trained = Trained(recipe, first.trajectory, first.steps)
    source = data.source_ids.index(source_id)
    with named(name):
        fitted = fit_once(run.settings, trained, project.artifacts / run.run_id / f"replicate-{first.index}")
        found = most_influential(
            estimator, trained, fitted, QueryRows.of(query), source, count, run.settings.memory_gib
        )
    start, form = int(np.flatnonzero(data.source_N == source)[0]), text_format(project.corpus)
    encoder = form.encoder if form else BYTES
    return [
        {"example": int(index) - start, "influence": float(value), "content": _content(data, int(index), encoder)}
        for index, value in zip(found.index_Qk[0], found.influence_Qk[0], strict=True)
    ]


def print_examples(found: list[dict[str, Any]], title: str, console: Console) -> None:
    """A table: the example's place in its source, its influence in the estimator's unit, and what it is."""
    table = Table(title=styled(title), title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("example", justify="right")
    table.add_column("influence", justify="right")
    table.add_column("content", overflow="fold")
    for each in found:
        table.add_row(str(each["example"]), f"{each['influence']:.4g}", printable(each["content"]))
    console.print(table)


def estimators() -> list[dict[str, Any]]:
    """Every estimator: name, what it is, and its options with their defaults."""
    return [
        {
            "name": name,
            "about": (inspect.getdoc(of) or "").partition("\n")[0],
            "options": {
                each.name: None if each.default is MISSING else each.default
                for each in fields(of)  # type: ignore[arg-type]
            },
        }
        for name, of in ESTIMATORS.items()
    ]


def print_estimators(console: Console) -> None:
    """A table of `estimators`."""
    table = Table(box=box.SIMPLE_HEAD)
    for heading in ("attribution.method", "attribution.options", "what it is"):
        table.add_column(heading, overflow="fold")
    for each in estimators():
        options = json.dumps(each["options"]) if each["options"] else ""
        table.add_row(each["name"], options, each["about"])
    console.print(table)


def _content(data: TrainingSet, index: int, encoder: Encoder) -> str:
    """The text of an example, or its columns of single values."""
    if "tokens" in data.columns:
        return encoder.decode(data.columns["tokens"][index])[:SHOWN]
    single = {name: column[index] for name, column in data.columns.items() if column.ndim == 1}
    return ", ".join(f"{name} {value}" for name, value in single.items())
