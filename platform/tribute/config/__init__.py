"""`project.yaml`: every setting of a project, with its default, unit and meaning, checked before any work starts.

Relative paths are relative to the folder of `project.yaml`. An unknown key is an error that names the nearest
known one: a misspelt setting must never be silently ignored by a system that pays people.
"""

from tribute.config.corpus import (
    ArraysCorpusSettings,
    CorpusSettings,
    CreditingSettings,
    HeldOutQueriesSettings,
    IdxCorpusSettings,
    IdxQueriesSettings,
    IngestedQueriesSettings,
    InstalledDocsSettings,
    QueriesSettings,
    TextCorpusSettings,
    UsageQueriesSettings,
)
from tribute.config.loading import load_project
from tribute.config.model import (
    CalibrationSettings,
    EvaluationSettings,
    ReadoutSettings,
    SimulationSettings,
    TaskSettings,
    TrainingSettings,
)
from tribute.config.money import MoneySettings, PoolSettings, RightsSettings
from tribute.config.project import ClusterSettings, Project, ServingSettings, TrackingSettings, ValuationSettings
from tribute.config.section import Settings

__all__ = [
    "ArraysCorpusSettings",
    "CalibrationSettings",
    "ClusterSettings",
    "CorpusSettings",
    "CreditingSettings",
    "EvaluationSettings",
    "HeldOutQueriesSettings",
    "IdxCorpusSettings",
    "IdxQueriesSettings",
    "IngestedQueriesSettings",
    "InstalledDocsSettings",
    "MoneySettings",
    "PoolSettings",
    "Project",
    "QueriesSettings",
    "ReadoutSettings",
    "RightsSettings",
    "ServingSettings",
    "Settings",
    "SimulationSettings",
    "TaskSettings",
    "TextCorpusSettings",
    "TrackingSettings",
    "TrainingSettings",
    "UsageQueriesSettings",
    "ValuationSettings",
    "load_project",
]
