"""Two months of a small project, command by command, with a copy of everything before each."""

import hashlib
import json
import re
import shutil
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tests.chaos.commands import Commands, Ended
from tests.chaos.ray_cluster import OwnRay
from tests.projects import SOURCES_CSV, settings, write_corpus, write_usage
from tribute.config import load_project
from tribute.royalty.proof import new_key
from tribute_storage import SCHEMAS, open_tables

FIRST, SECOND = "2026-10", "2026-11"
FILE, POINTS = "project.yaml", "points.json"


@dataclass(frozen=True)
class Step:
    """A command: its options follow the project file; `other_rights`: the rights change before it."""

    name: str
    command: str
    options: tuple[str, ...] = ()
    other_rights: bool = False

    def arguments(self, folder: Path) -> tuple[object, ...]:
        """The arguments for a project in a folder."""
        return self.command, folder / FILE, *self.options


def of_month(command: str, month: str, *more: str) -> tuple[str, tuple[str, ...]]:
    return command, ("--period", month, *more)


SCRIPT = (
    Step("train", "train"),
    Step("simulate", "simulate"),
    Step("attribute", *of_month("attribute", FIRST)),
    Step("value", *of_month("value", FIRST)),
    Step("settle", *of_month("settle", FIRST)),
    Step("close", *of_month("close", FIRST)),
    Step("second month", *of_month("run", SECOND)),
    Step("restate", *of_month("restate", FIRST, "--reason", "a contract was overlooked"), other_rights=True),
    Step("second month again", *of_month("run", SECOND)),
    Step("second close", *of_month("close", SECOND)),
    Step("evaluate", *of_month("evaluate", SECOND)),
)
NAMES = tuple(step.name for step in SCRIPT)

Everything = tuple[dict[str, Counter[str]], dict[str, str]]
"""The rows of every table, each as text, and the hashes of the statements' files."""


START_S = 90.0
"""How long a command waits for a Ray that does not answer."""


def write_start(folder: Path, address: str) -> Path:
    """The project before its first command: three sources, one of two publishers, and one retrain."""
    folder.mkdir(parents=True)
    write_corpus(folder / "corpus.jsonl", {"daily": 5, "recipes": 4, "sports": 3})
    rows = [
        row | {"query_id": f"{row['query_id']}-{month}"}
        for month in (FIRST, SECOND)
        for row in write_usage(folder / "usage.jsonl", month, 20)
    ]
    (folder / "usage.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "sources.csv").write_text(SOURCES_CSV.replace("weather,arena,1,2020-01-01,\n", ""))
    (folder / "key.pem").write_text(new_key()[0])
    path = folder / FILE
    small = settings(
        training={"learning_rate": 0.01, "batch_size": 8, "epochs": 1, "replicates": 1},
        valuation={"budget": 1, "resamples": 100},
        money={"signing_key": "key.pem"},
        evaluation={"seeds": 1, "subsets": 10, "brittle_queries": 0, "resamples": 100},
        cluster={"workers": 1, "address": address, "start_timeout_s": START_S},
    )
    path.write_text(yaml.safe_dump(small))
    return path


def change_settings(folder: Path, section: str, **values: Any) -> None:
    """Change settings of a section in a project file."""
    path = folder / FILE
    written = yaml.safe_load(path.read_text())
    written[section] = written.get(section, {}) | values
    path.write_text(yaml.safe_dump(written))


def change_rights(folder: Path) -> None:
    """Of the recipes, Kitchen gets two thirds instead of one."""
    path = folder / "sources.csv"
    rows = (
        path.read_text().replace("kitchen,1/3", "kitchen,2/3").replace("recipes,planet,2/3", "recipes,planet,1/3")
    )
    path.write_text(rows)


TIMED = re.compile(r"((?:query_in_forwards|prepare_in_trainings|\"banked\"|\"new\")\W+(?:value\W+)?)[\d.e+-]+")
"""A cost in a row of `evaluations` or in a certificate's JSON; there also how many retrains this run needed."""


def everything(folder: Path) -> Everything:
    """What a project has made, whatever the order of rows and the names of files; `repr` of a float is exact.

    Leaves out the costs that `evaluate` measures with a clock, and how many retrains it found in the bank.
    """
    project, found = load_project(folder / FILE), dict[str, Counter[str]]()
    with open_tables(project.lake_root) as connection:
        for table in SCHEMAS:
            rest = " exclude (sha256)" if table == "certificates" else ""  # of a text that holds the costs
            rows = connection.sql(f"select *{rest} from {table}").to_arrow_table().to_pylist()
            found[table] = Counter(TIMED.sub(r"\g<1>0", repr(row)) for row in rows)
    statements = project.workdir / "statements"
    files = {
        str(path.relative_to(statements)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(statements.rglob("*"))
        if path.is_file() and not path.name.startswith(".")  # what a killed process left of a file is hidden
    }
    return found, files


class Difference(NamedTuple):
    """What two projects' tables and files differ in: rows that are missing, rows too many, and where."""

    lost: int
    doubled: int
    places: list[str]


def difference(found: Everything, expected: Everything) -> Difference:
    """What is found and not expected, and the other way round."""
    lost, doubled, places = 0, 0, list[str]()
    for table, rows in expected[0].items():
        missing, more = (rows - found[0][table]).total(), (found[0][table] - rows).total()
        lost, doubled = lost + missing, doubled + more
        places += [f"{table}: {missing} rows missing, {more} too many"] if missing or more else []
    files = {name for name, _ in set(found[1].items()) ^ set(expected[1].items())}
    return Difference(lost, doubled, [*places, *(f"file {name}" for name in sorted(files))])


@dataclass(frozen=True)
class Reference:
    """The script without a fault.

    Attributes:
        root: holds a copy of the project before each step, by its number; after the last one too.
        points: what each step passes, as `points.Watch` names it.
    """

    root: Path
    points: tuple[tuple[str, ...], ...]

    @classmethod
    def of(cls, root: Path) -> "Reference":
        """The reference that was made in a folder."""
        return cls(root, tuple(map(tuple, json.loads((root / POINTS).read_text()))))

    def copy(self, number: int, folder: Path, address: str) -> Path:
        """The project before a step, in a folder, for a Ray."""
        shutil.copytree(self.root / str(number), folder)
        change_settings(folder, "cluster", address=address)
        return folder

    @cache  # noqa: B019  (a reference lives as long as the tests)
    def after(self, number: int) -> Everything:
        """What the project has made after a step."""
        return everything(self.root / str(number + 1))


def reference(root: Path, commands: Commands, ray: OwnRay, steps: range) -> Reference:
    """Run steps of the script, and copy the project before each; those before them are one command."""
    folder, points = root / "project", [tuple[str, ...]()] * steps.start
    ray.start()
    write_start(folder, ray.address)
    if steps.start:
        require_done(commands.run(*SCRIPT[steps.start - 1].arguments(folder)))
    for number in steps:
        step = SCRIPT[number]
        if step.other_rights:
            change_rights(folder)
        shutil.copytree(folder, root / str(number))
        points.append(require_done(commands.run(*step.arguments(folder))).points)
    folder.rename(root / str(steps.stop))
    (root / POINTS).write_text(json.dumps(points))
    return Reference.of(root)


def require_done(ended: Ended) -> Ended:
    """The end of a command that nothing happens to; raises AssertionError where it fails."""
    assert ended.code == 0, ended
    return ended
