"""The lake: Parquet tables with Delta commits that workers write and anyone queries with SQL."""

from tribute_storage.errors import LakeError, TributeError
from tribute_storage.lake import Lake
from tribute_storage.published import open_published, query_published
from tribute_storage.reference import describe
from tribute_storage.sandbox import Limits
from tribute_storage.schemas import SCHEMAS
from tribute_storage.sql import query
from tribute_storage.staging import CommittedFile, StagedFile
from tribute_storage.views import connect

__all__ = [
    "SCHEMAS",
    "CommittedFile",
    "Lake",
    "LakeError",
    "Limits",
    "StagedFile",
    "TributeError",
    "connect",
    "describe",
    "open_published",
    "query",
    "query_published",
]
