"""`project.yaml`: every setting of a project, with its default, unit and meaning, checked before any work starts.

Relative paths are relative to the folder of `project.yaml`. An unknown key is an error that names the nearest
known one: a misspelt setting must never be silently ignored by a system that pays people.
"""

from tribute.config.corpus import (
    ArraysCorpus,
    Corpus,
    Crediting,
    HeldOutQueries,
    IdxCorpus,
    IdxQueries,
    IngestedQueries,
    InstalledDocs,
    Queries,
    TextCorpus,
    UsageQueries,
)
from tribute.config.loading import load_project, period_days
from tribute.config.model import Calibration, Evaluation, Readout, Simulation, TaskSettings, Training
from tribute.config.money import Money, Pool, Rights
from tribute.config.project import Cluster, Project, Serving, Tracking, Valuation
from tribute.config.section import Section

__all__ = [
    "ArraysCorpus",
    "Calibration",
    "Cluster",
    "Corpus",
    "Crediting",
    "Evaluation",
    "HeldOutQueries",
    "IdxCorpus",
    "IdxQueries",
    "IngestedQueries",
    "InstalledDocs",
    "Money",
    "Pool",
    "Project",
    "Queries",
    "Readout",
    "Rights",
    "Section",
    "Serving",
    "Simulation",
    "TaskSettings",
    "TextCorpus",
    "Tracking",
    "Training",
    "UsageQueries",
    "Valuation",
    "load_project",
    "period_days",
]
