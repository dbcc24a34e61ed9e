"""`project.yaml`: every setting of a project, with default, unit and meaning, checked before any work starts.

Paths are relative to the folder of `project.yaml`. An unknown key is an error that suggests the closest known key:
a system that pays people must not silently ignore a misspelt setting.
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
    WindowSettings,
)
from tribute.config.loading import load_project
from tribute.config.model import (
    AttributionSettings,
    EvaluationSettings,
    ReadoutSettings,
    SimulationSettings,
    TaskSettings,
    TrainingSettings,
)
from tribute.config.money import MoneySettings, PoolSettings, RightsSettings
from tribute.config.project import ClusterSettings, Project, ServingSettings, TrackingSettings
from tribute.config.section import Settings
from tribute.config.valuation import ValuationSettings

__all__ = [
    "ArraysCorpusSettings",
    "AttributionSettings",
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
    "WindowSettings",
    "load_project",
]
