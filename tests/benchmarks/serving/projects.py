"""Projects to serve: a byte model of documentation, its text cut into 10, 100 or 1,000 sources, and simulated.

They are kept in build/bench/cache, each in a folder that is named by all that it was made from.
"""

import hashlib
import json
import os
import shutil
from functools import lru_cache
from pathlib import Path

import yaml

from tests.benchmarks.results import FOLDER
from tests.benchmarks.worlds import PERIOD
from tribute.config import Project, ReadoutSettings, ServingSettings, load_project
from tribute.config.corpus import InstalledDocsSettings
from tribute.corpus import read_corpus
from tribute_jobs.pipeline import run
from tribute_jobs.progress import JsonReporter

QUICK = bool(os.environ.get("QUICK"))
CONTEXT = 64
DISTRIBUTIONS, CORPUS_BYTES = 10, 120_000 if QUICK else 400_000
DOCUMENT_ROWS, QUERY_ROWS = 3, 4
"""Rows of `CONTEXT` bytes in a document of the corpus, and in a query."""
HORIZON, REPLICATES = 0.05, 3


SETTINGS = {
    "name": "service",
    "corpus": {"kind": "text", "path": "corpus.jsonl", "window": CONTEXT + 1, "duplicates": {"credit": "off"}},
    "task": {"name": "byte_lm", "options": {"context": CONTEXT, "width": 64, "heads": 2, "layers": 2}},
    "training": {"learning_rate": 0.003, "batch_size": 16, "epochs": 1, "replicates": REPLICATES},
    "simulation": {"horizon": HORIZON, "smoothness_sources": 0},
    "valuation": {"budget": 0},
    "tracking": {"enabled": False},
}


@lru_cache(maxsize=1)
def rows() -> tuple[str, ...]:
    """Documentation in rows of `CONTEXT` characters of ASCII, distribution by distribution."""
    settings = InstalledDocsSettings(
        kind="installed_docs", sources=DISTRIBUTIONS, max_bytes=CORPUS_BYTES, window=CONTEXT + 1, held_out=0.0
    )
    found = []
    for source in read_corpus(settings).sources:
        for tokens in source.train["tokens"][:, :CONTEXT]:
            row = "".join(chr(byte) if 32 <= byte < 127 else " " for byte in tokens.tolist())
            found += [row] if len(row.split()) > 3 else []
    return tuple(found)


def texts(count: int, long: bool = True) -> list[str]:
    """Texts of queries, the same ones every time: of `QUERY_ROWS` rows of the model, or of one row."""
    groups = _joined(QUERY_ROWS if long else 1)
    picked = [groups[(7 * index) % len(groups)] for index in range(count)]
    return [text + "." for text in picked]  # the byte after the last row that is predicted


def simulated(sources: int) -> Path:
    """`project.yaml` of a project that is trained and simulated; made where it is not there."""
    documents = _joined(DOCUMENT_ROWS)
    sources = min(sources, len(documents) // 2)
    corpus = "".join(
        json.dumps({"source": f"source-{index * sources // len(documents):04d}", "text": text}) + "\n"
        for index, text in enumerate(documents)
    )
    settings = yaml.safe_dump(SETTINGS)
    name = hashlib.sha256((corpus + settings).encode()).hexdigest()[:12]
    folder = FOLDER / "cache" / f"service-{sources}-{name}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "corpus.jsonl").write_text(corpus)
    (folder / "project.yaml").write_text(settings)
    run(load_project(folder / "project.yaml"), PERIOD, JsonReporter(), last="simulate")
    return folder / "project.yaml"


def fresh(path: Path, folder: Path, distilled: bool, serving: ServingSettings) -> Project:
    """A copy of a project in a folder of its own, which the service may fill."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(path.parent, folder)
    readout = ReadoutSettings(method="distilled", precision=0.05) if distilled else ReadoutSettings()
    return load_project(folder / path.name).model_copy(update={"serving": serving, "readout": readout})


def _joined(length: int) -> list[str]:
    """Texts of so many rows each."""
    whole = range(0, len(rows()) - length + 1, length)
    return ["".join(rows()[start : start + length]) for start in whole]
