"""Snapshots of the training corpus: shards of examples that are mapped, not copied, and a manifest."""

from tribute.corpus.snapshot.manifest import (
    MANIFEST,
    PARTS,
    READ,
    Manifest,
    SnapshotSource,
    has_snapshot,
    read_manifest,
    snapshot_files,
)
from tribute.corpus.snapshot.parts import Part, load_source, load_sources, map_part, ood_detector, open_part
from tribute.corpus.snapshot.writing import write_snapshot

__all__ = [
    "MANIFEST",
    "PARTS",
    "READ",
    "Manifest",
    "Part",
    "SnapshotSource",
    "has_snapshot",
    "load_source",
    "load_sources",
    "map_part",
    "ood_detector",
    "open_part",
    "read_manifest",
    "snapshot_files",
    "write_snapshot",
]
