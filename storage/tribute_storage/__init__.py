"""The lake: Parquet tables with Delta commits that workers write and anyone queries with SQL.

Names are imported on first use: a module that only writes files loads neither DuckDB nor Delta.
"""

from typing import TYPE_CHECKING

from tribute_storage.first_use import first_use

if TYPE_CHECKING:
    from tribute_storage.errors import Damage, LakeConflict, LakeDamaged, LakeError, LakeUnavailable
    from tribute_storage.lake import Basis, Lake
    from tribute_storage.owner import claim, require_own
    from tribute_storage.publishing.opened import query_published
    from tribute_storage.publishing.publish import publish
    from tribute_storage.querying.reference import describe
    from tribute_storage.querying.sandbox import Limits
    from tribute_storage.querying.sql import query
    from tribute_storage.querying.views import connect, open_tables
    from tribute_storage.schemas import SCHEMAS
    from tribute_storage.staging import StagedFile
    from tribute_storage.upkeep.examination import damage, require_sound
    from tribute_storage.upkeep.maintenance import (
        checkpoint,
        clear_orphans,
        compact,
        orphans,
        retain,
        small_files,
    )
    from tribute_storage.usage import Ingested, ingest

__all__ = [
    "SCHEMAS",
    "Basis",
    "Damage",
    "Ingested",
    "Lake",
    "LakeConflict",
    "LakeDamaged",
    "LakeError",
    "LakeUnavailable",
    "Limits",
    "StagedFile",
    "checkpoint",
    "claim",
    "clear_orphans",
    "compact",
    "connect",
    "damage",
    "describe",
    "ingest",
    "open_tables",
    "orphans",
    "publish",
    "query",
    "query_published",
    "require_own",
    "require_sound",
    "retain",
    "small_files",
]

__getattr__ = first_use(
    __name__,
    {
        "errors": ["Damage", "LakeConflict", "LakeDamaged", "LakeError", "LakeUnavailable"],
        "upkeep.examination": ["damage", "require_sound"],
        "lake": ["Basis", "Lake"],
        "upkeep.maintenance": ["checkpoint", "clear_orphans", "compact", "orphans", "retain", "small_files"],
        "owner": ["claim", "require_own"],
        "publishing.opened": ["query_published"],
        "publishing.publish": ["publish"],
        "querying.reference": ["describe"],
        "querying.sandbox": ["Limits"],
        "querying.sql": ["query"],
        "querying.views": ["connect", "open_tables"],
        "schemas": ["SCHEMAS"],
        "staging": ["StagedFile"],
        "usage": ["Ingested", "ingest"],
    },
)
