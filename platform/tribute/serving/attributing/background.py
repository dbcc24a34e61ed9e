"""Exact read-outs of the uses that were drawn for one, while nobody waits for them."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

from tribute.errors import TributeError
from tribute.serving.attributing.attributor import Attributor
from tribute_storage import LakeError
from tribute_storage.outbox.readings import Reading

AT_ONCE = 8
REST_S = 0.5
_log = logging.getLogger(__name__)


class SampledUses(Protocol):
    """Where sampled uses wait for their read-out; see `Writer`."""

    async def lease(self, most: int) -> list[tuple[str, str]]: ...

    async def complete(self, readings: Sequence[Reading]) -> None: ...


async def keep_reading(attributor: Attributor, writers: Sequence[SampledUses]) -> None:
    """Read out sampled uses of all outboxes, for ever. One that cannot be read is tried again later, and told."""
    with suppress(asyncio.CancelledError):
        while True:
            busy = [await _read_some(attributor, writer) for writer in writers]
            if not any(busy):
                await asyncio.sleep(REST_S)


async def _read_some(attributor: Attributor, writer: SampledUses) -> bool:
    try:
        contents = await writer.lease(AT_ONCE)
        if contents:
            await writer.complete(await attributor.read_sampled(contents))
        return bool(contents)
    except (TributeError, LakeError) as error:
        _log.warning("Sampled uses wait for their read-out: %s", error)
        return False
