"""The lake: Parquet tables with Delta commits that workers write and anyone queries with SQL."""

from tribute_storage.errors import LakeError
from tribute_storage.lake import Lake
from tribute_storage.maintenance import checkpoint, clear_orphans, compact, orphans, retain
from tribute_storage.publishing.opened import open_published, query_published
from tribute_storage.publishing.publish import publish
from tribute_storage.querying.reference import describe
from tribute_storage.querying.sandbox import Limits
from tribute_storage.querying.sql import query
from tribute_storage.querying.views import connect
from tribute_storage.schemas import SCHEMAS
from tribute_storage.staging import StagedFile
from tribute_storage.usage import Ingested, ingest

__all__ = [
    "SCHEMAS",
    "Ingested",
    "Lake",
    "LakeError",
    "Limits",
    "StagedFile",
    "checkpoint",
    "clear_orphans",
    "compact",
    "connect",
    "describe",
    "ingest",
    "open_published",
    "orphans",
    "publish",
    "query",
    "query_published",
    "retain",
]
