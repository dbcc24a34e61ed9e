"""A client of the service, for programs that use it or report to it. Loads neither the science nor the lake."""

from tribute.client.answers import (
    ServedAttribution,
    ServedAttributions,
    ServedInfluence,
    ServedOthers,
    ServedToken,
)
from tribute.client.asynchronous import AsyncClient
from tribute.client.blocking import Client
from tribute.client.errors import ServiceError
from tribute.client.reports import (
    ReportedPublisher,
    ReportedSource,
    ReportProgress,
    ServedReport,
    StatementFile,
)
from tribute.client.uses import ModelUse

__all__ = [
    "AsyncClient",
    "Client",
    "ModelUse",
    "ReportProgress",
    "ReportedPublisher",
    "ReportedSource",
    "ServedAttribution",
    "ServedAttributions",
    "ServedInfluence",
    "ServedOthers",
    "ServedReport",
    "ServedToken",
    "ServiceError",
    "StatementFile",
]
