"""Live uses of the model: from the service's outbox to the lake, and back by id."""

from tribute.catalog.live.lookup import recorded_use
from tribute.catalog.live.recording import RecordedUses, RecordedWith, record_uses

__all__ = ["RecordedUses", "RecordedWith", "record_uses", "recorded_use"]
