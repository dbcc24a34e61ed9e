"""A part of a project: a corpus of feature vectors in a Parquet file."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from tests.fuzz.chance import Chance
from tests.fuzz.odd_ids import UNPRINTABLE, canonical, drawn_ids
from tests.fuzz.part import Part, require
from tribute.config import load_project
from tribute.corpus import read_corpus

Columns = dict[str, list[Any]]


def _last(column: str, value: object) -> Callable[[Columns], Columns]:
    return lambda columns: columns | {column: [*columns[column][:-1], value]}


def _every(column: str, change: Callable[[Any], Any]) -> Callable[[Columns], Columns]:
    return lambda columns: columns | {column: [change(value) for value in columns[column]]}


FAULTS: dict[str, Callable[[Columns], Columns]] = {
    "a vector of another length": _last("features", [1.0] * 9),
    "a vector that is null": _last("features", None),
    "a vector that is not a number": lambda columns: _last(
        "features", [float("nan")] * len(columns["features"][0])
    )(columns),
    "an infinite vector": lambda columns: _last("features", [float("inf")] * len(columns["features"][0]))(columns),
    "vectors of text": _every("features", lambda _: ["a", "b"]),
    "vectors of matrices": _every("features", lambda _: [[1.0], [2.0]]),
    "a whole number that single precision changes": lambda columns: (
        columns | {"features": [[2**24 + 1] * len(columns["features"][0])] * len(columns["features"])}
    ),
    "a label below 0": _last("label", -1),
    "an ignored label": _last("label", -100),
    "a label that is null": _last("label", None),
    "labels with fractions": _every("label", float),
    "labels of text": _every("label", str),
    "a label that no table holds": lambda columns: (
        columns | {"label": pa.array([2**64 - 1] * len(columns["label"]), pa.uint64())}
    ),
    "a source that is null": _last("source", None),
    "an unprintable source": _last("source", UNPRINTABLE["a bell"]),
    "an empty source": _last("source", "  "),
    "one source": _every("source", lambda _: "a"),
    "no labels": lambda columns: {name: values for name, values in columns.items() if name != "label"},
    "no vectors": lambda columns: {name: values for name, values in columns.items() if name != "features"},
}
WHOLE = (pa.int8(), pa.uint8(), pa.int16(), pa.int32(), pa.uint32(), pa.int64(), pa.uint64())


@dataclass
class ArrayCorpus(Part):
    """A corpus of feature vectors; `kind` is the type of the labels."""

    sources: list[str] = field(kw_only=True)
    features: np.ndarray = field(kw_only=True)
    labels: list[int] = field(kw_only=True)
    held_out: float = field(kw_only=True)
    kind: pa.DataType = field(kw_only=True)
    fixed: bool = field(kw_only=True)

    def check(self, folder: Path) -> None:
        """Every row is trained on or held out, with its numbers, under its source."""
        columns: Columns = {"source": self.sources, "features": self.features.tolist(), "label": self.labels}
        if self.fault:
            table = pa.table(FAULTS[self.fault](columns))
        else:
            vectors = pa.array(columns["features"])
            width = self.features.shape[1]
            fixed = pa.FixedSizeListArray.from_arrays(pa.array(self.features.ravel()), width)
            table = pa.table(
                {
                    "source": self.sources,
                    "features": fixed if self.fixed else vectors,
                    "label": pa.array(self.labels, self.kind),
                }
            )
        pq.write_table(table, folder / "corpus.parquet")
        corpus = {"kind": "arrays", "path": "corpus.parquet", "held_out": self.held_out}
        path = folder / "project.yaml"
        path.write_text(yaml.safe_dump({"name": "drawn", "corpus": corpus, "task": {"name": "classifier"}}))
        found = {each.source.source_id: each for each in read_corpus(load_project(path).corpus).sources}
        owners = [canonical(name) for name in self.sources]
        require(sorted(found) == sorted(set(owners)), f"sources {sorted(found)}, not {sorted(set(owners))}")
        for name, source in found.items():
            own = [place for place, owner in enumerate(owners) if owner == name]
            written = sorted(
                (self.labels[place], *self.features[place].astype(np.float32).tolist()) for place in own
            )
            parts = [source.train, source.held_out]
            rows = [
                (int(label), *map(float, vector))
                for part in parts
                for label, vector in zip(part["labels"], part["features"], strict=True)
            ]
            require(sorted(rows) == written, f"source {name[:40]!r} holds other rows than were written")
            held, most = len(source.held_out["labels"]), 2 * self.held_out * len(own) + 1
            require(
                held <= most and (held or len(own) * self.held_out < 1 or len(own) == 1), f"{held} rows held out"
            )


def drawn_arrays(chance: Chance, faulty: bool) -> ArrayCorpus:
    """Feature vectors of some sources, which may be broken."""
    names = drawn_ids(chance, chance.whole(2, 4), 0.6)
    sources = [name for name in names for _ in range(chance.whole(1, 30))]
    order = chance.numbers.permutation(len(sources))
    kind = chance.of(WHOLE)
    largest = {pa.int8(): 127, pa.uint8(): 255, pa.int16(): 32_767}.get(kind, 2**31 - 1)
    labels = [chance.of([chance.whole(0, 9), chance.whole(0, largest), largest]) for _ in sources]
    features = chance.numbers.normal(size=(len(sources), chance.whole(1, 5))) * chance.of([1.0, 1e-6, 1e6])
    features = features.astype(np.float32) if chance.happens(0.5) else features
    fault = chance.of(FAULTS) if faulty else ""
    return ArrayCorpus(
        [f"corpus: arrays of {kind} labels"],
        fault,
        sources=[sources[place] for place in order],
        features=features,
        labels=labels,
        held_out=chance.of([0.0, 0.1, 0.5]),
        kind=kind,
        fixed=chance.happens(0.5),
    )
