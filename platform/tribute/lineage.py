"""Run ids: what a stage made, named after everything that determines it.

A run id is the stage's name and a hash of its settings and of the run id before it. So the same settings find
what is already there, a changed setting renews exactly the stages behind it, and every row of the lake leads
back to the corpus.
"""

import hashlib
import json
from dataclasses import dataclass

from tribute.config import Project


def run_id(stage: str, *determined_by: object) -> str:
    """`stage` and twelve hexadecimal digits of the SHA-256 of what determines its output."""
    content = json.dumps(determined_by, sort_keys=True, default=str)
    return f"{stage}-{hashlib.sha256(content.encode()).hexdigest()[:12]}"


@dataclass(frozen=True)
class Lineage:
    """The runs that a project's settings determine before any period comes in."""

    corpus_run: str
    train_run: str
    simulate_run: str


def lineage(project: Project) -> Lineage:
    """Run ids of corpus, training and simulation."""
    corpus_run = run_id("corpus", project.corpus.fingerprint())
    train_run = run_id("train", corpus_run, project.task.fingerprint(), project.training.fingerprint())
    simulate_run = run_id("simulate", train_run, project.simulation.fingerprint())
    return Lineage(corpus_run, train_run, simulate_run)
