"""A durable outbox of uses of the model: a use is safe in it before it is in the lake."""

from tribute_storage.outbox.batches import Sealed
from tribute_storage.outbox.database import uses_waiting
from tribute_storage.outbox.outbox import Outbox
from tribute_storage.outbox.uses import (
    USE,
    ContentConflict,
    KeyedReply,
    Recorded,
    Submission,
    reply_body,
    with_periods,
)

__all__ = [
    "USE",
    "ContentConflict",
    "KeyedReply",
    "Outbox",
    "Recorded",
    "Sealed",
    "Submission",
    "reply_body",
    "uses_waiting",
    "with_periods",
]
