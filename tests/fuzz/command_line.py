"""A part of some projects: a whole month, run and closed from the command line in a folder of its own."""

import json
import subprocess
import sys
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

import tribute
from tests.fuzz.chance import Chance
from tests.fuzz.money.files import write_table
from tests.fuzz.money.oracle import largest_remainder, minor_units, proportional
from tests.fuzz.odd_ids import UNPRINTABLE, canonical, drawn_ids
from tests.fuzz.part import Part, require, require_close
from tests.fuzz.study.worlds import Method, World, drawn_rows, exact_influence, plain_training
from tribute.config import load_project
from tribute.errors import TributeError
from tribute_storage import connect

MONTH, PATIENCE_S = "2026-10", 900
FAULTS = (
    "a use without a time", "an id twice", "a source without a right", "an unprintable publisher",
    "an amount with marks", "a misspelt setting", "too few features", "a key twice",
)  # fmt: skip


@dataclass
class WholeMonth(Part):
    """A classifier's month: corpus, uses and rights in files, influences and statements in the lake."""

    world: World = field(kw_only=True)
    training: dict[str, Any] = field(kw_only=True)
    uses: list[str] = field(kw_only=True)
    publishers: dict[str, str] = field(kw_only=True)
    amount: str = field(kw_only=True)
    seed: int = field(kw_only=True)

    def check(self, folder: Path) -> None:
        """Run and close the month; compare influences with plain PyTorch, and money with fractions."""
        path = self._written(folder)
        self._run(folder, "run", path.name, "--period", MONTH)
        self._run(folder, "close", path.name, "--period", MONTH)
        self._run(folder, "verify", f"tribute-data/statements/{MONTH}-v2/bundle.json")
        with connect(load_project(path).lake_root) as lake:
            found = lake.execute(
                "select query_id, source_id, influence_nats from influence order by all"
            ).fetchall()
            values = lake.execute(
                "select publisher_id, value_nats from valuations where level = 'publisher'"
            ).fetchall()
            paid = lake.execute(
                "select publisher_id, sum(amount_minor) from statement_lines group by all"
            ).fetchall()
        self._check_influence(found)
        pool = minor_units(self.amount, 2)
        shares = proportional({name: Fraction(f"{value:.9g}") for name, value in values})
        if shares:
            expected = largest_remainder(pool, shares)
            require(dict(paid) == expected, f"paid {paid}, expected {expected} by {values}")
        require(
            sum(minor for _, minor in paid) == pool, f"lines sum to {sum(minor for _, minor in paid)} of {pool}"
        )
        require({name for name, _ in paid} == {*map(canonical, self.publishers.values())}, f"paid {paid}")

    def _check_influence(self, found: list[tuple[str, str, float]]) -> None:
        settings = tribute.TrainingSettings(**self.training)
        exact_QS = exact_influence(self.world, Method(), plain_training(self.world, settings, 0))
        names = [canonical(name) for name in self.uses]
        expected = {
            (name, source): exact_QS[row, column]
            for row, name in enumerate(names)
            for column, source in enumerate(self.world.ids)
        }
        require(
            {each[:2] for each in found} == {*expected}, f"influences of {sorted({each[0] for each in found})}"
        )
        nats = [expected[query, source] for query, source, _ in found]
        require_close([each[2] for each in found], nats, 5e-4, "influences in the lake, nats")

    def _written(self, folder: Path) -> Path:
        columns, owners = self.world.columns, [self.world.ids[source] for source in self.world.source_N]
        vectors = columns["features"].tolist()
        table = pa.table({"source": owners, "features": vectors, "label": columns["labels"]})
        pq.write_table(table, folder / "corpus.parquet")
        queries = self.world.queries
        uses: list[dict[str, Any]] = [
            {
                "query_id": name,
                "features": vector,
                "label": int(label),
                "time": f"{MONTH}-0{1 + row % 9}T12:00:00Z",
            }
            for row, (name, vector, label) in enumerate(
                zip(self.uses, queries["features"].tolist(), queries["labels"], strict=True)
            )
        ]
        rows = [
            {"source_id": source, "publisher_id": publisher, "split": "1"}
            for source, publisher in self.publishers.items()
        ]
        settings = self._settings(rows, uses)
        lines = [json.dumps(use) for use in uses]
        if self.fault == "a key twice":
            lines[-1] = f'{lines[-1][:-1]}, "label": 1}}'
        (folder / "uses.jsonl").write_text("\n".join(lines))
        settings["rights"] = {"sources": write_table(folder, "sources", rows, Chance(self.seed))}
        path = folder / "project.yaml"
        path.write_text(yaml.safe_dump(settings, allow_unicode=True), encoding="utf-8")
        return path

    def _settings(self, rows: list[dict[str, str]], uses: list[dict[str, Any]]) -> dict[str, Any]:
        """The project file; rows and uses are spoilt in place."""
        inputs, classes = self.world.queries["features"].shape[1], int(self.world.columns["labels"].max()) + 1
        training = {
            name: list(value) if isinstance(value, tuple) else value for name, value in self.training.items()
        }
        found: dict[str, Any] = {
            "name": "drawn",
            "corpus": {"kind": "arrays", "path": "corpus.parquet"},
            "task": {
                "name": "classifier",
                "options": {"features": inputs, "hidden": [4], "classes": max(classes, 2)},
            },
            "training": training,
            "simulation": {"horizon": 1.0},
            "valuation": {"budget": 0},
            "queries": {"kind": "usage", "path": "uses.jsonl"},
            "pool": {"amount": self.amount},
            "tracking": {"enabled": False},
            "cluster": {"workers": 1},
        }
        if self.fault == "a use without a time":
            del uses[-1]["time"]
        if self.fault == "an id twice":
            uses.append(uses[0])
        if self.fault == "too few features":
            uses[-1]["features"] = uses[-1]["features"][:-1]
        if self.fault == "a source without a right":
            rows[-1]["source_id"] = "another source"
        if self.fault == "an unprintable publisher":
            rows[-1]["publisher_id"] = UNPRINTABLE["an escape"]
        if self.fault == "an amount with marks":
            found["pool"]["amount"] = "1_000"
        if self.fault == "a misspelt setting":
            found["simulation"] = {"horizn": 1.0}
        return found

    def _run(self, folder: Path, *arguments: str) -> None:
        """Run a command; a refusal is raised as one, anything else must end well."""
        command = [sys.executable, "-m", "tribute_jobs.cli", *arguments]
        ended = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
        said = (ended.stdout + ended.stderr)[-3000:]
        if ended.returncode == 2 and "Traceback" not in said:
            raise TributeError(" ".join(ended.stderr.split()))
        if ended.returncode or "Traceback" in said:
            raise RuntimeError(f"tribute {arguments[0]} ends with {ended.returncode}: {said}")


def drawn_month(chance: Chance, faulty: bool) -> WholeMonth:
    """A month of a classifier with odd ids, which may be broken."""
    inputs, classes = chance.whole(2, 5), chance.whole(2, 4)
    names, uses = drawn_ids(chance, chance.whole(2, 4), 0.7), drawn_ids(chance, chance.whole(2, 6), 0.7)
    lean = chance.normal(inputs, classes)
    by_source = {name: drawn_rows(chance, chance.whole(4, 25), lean) for name in names}
    top = max(int(rows["labels"].max()) for rows in by_source.values())
    queries = drawn_rows(chance, len(uses), lean)
    queries["labels"] = queries["labels"].clip(0, top)
    task = tribute.Classifier(features=inputs, hidden=(4,), classes=max(top + 1, 2))
    world = World(task, by_source, queries, ["a whole month"], "classifier")  # type: ignore[arg-type]
    training: dict[str, Any] = {
        "optimizer": chance.of(["sgd", "adamw"]),
        "learning_rate": 0.02,
        "batch_size": 4,
        "epochs": 3.0,
        "replicates": 1,
        "seed": chance.whole(0, 99),
    }
    publishers = dict(zip(names, drawn_ids(chance, len(names), 0.7), strict=True))
    fault = chance.of(FAULTS) if faulty else ""
    amount = chance.of(["1000.01", "0.01", "99999.99"])
    return WholeMonth(
        ["a whole month"],
        fault,
        world=world,
        training=training,
        uses=uses,
        publishers=publishers,
        amount=amount,
        seed=chance.whole(0, 2**30),
    )
