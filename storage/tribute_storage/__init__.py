"""The lake: Parquet tables with Delta commits that workers write and anyone queries with SQL."""

from tribute_storage.errors import LakeError, TributeError
from tribute_storage.lake import Lake
from tribute_storage.schemas import SCHEMAS
from tribute_storage.sql import describe, query
from tribute_storage.staging import CommittedFile, StagedFile
from tribute_storage.views import connect

__all__ = [
    "SCHEMAS",
    "CommittedFile",
    "Lake",
    "LakeError",
    "StagedFile",
    "TributeError",
    "connect",
    "describe",
    "query",
]
