"""A client of the service, for programs that use it or report to it. Loads neither the science nor the lake."""

from tribute.client.answers import ServedAttribution, ServedAttributions, ServedInfluence, ServedOthers
from tribute.client.asynchronous import AsyncClient
from tribute.client.blocking import Client
from tribute.client.errors import ServiceError
from tribute.client.months import (
    FetchedFile,
    ListedStatement,
    ListedStatements,
    OfferedModel,
    ServedAmount,
    ServedInterval,
    ServedPublisherValue,
    ServedSourceValue,
    ServedValuation,
)
from tribute.client.reports import ReportedPublisher, ReportedSource, ReportProgress, ServedReport
from tribute.client.uses import ModelUse

__all__ = [
    "AsyncClient",
    "Client",
    "FetchedFile",
    "ListedStatement",
    "ListedStatements",
    "ModelUse",
    "OfferedModel",
    "ReportProgress",
    "ReportedPublisher",
    "ReportedSource",
    "ServedAmount",
    "ServedAttribution",
    "ServedAttributions",
    "ServedInfluence",
    "ServedInterval",
    "ServedOthers",
    "ServedPublisherValue",
    "ServedReport",
    "ServedSourceValue",
    "ServedValuation",
    "ServiceError",
]
