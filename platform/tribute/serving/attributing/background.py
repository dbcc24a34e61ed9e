"""Exact read-outs of the uses that were drawn for one, while nobody waits for them."""

import asyncio
import logging
import traceback
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
    except Exception as error:
        _tell(error)
        return False
    read = bool(contents) and await _read(attributor, writer, contents)
    if not read and len(contents) > 1:  # one that cannot be read out keeps no other waiting
        return any([await _read(attributor, writer, [each]) for each in contents])
    return read


async def _read(attributor: Attributor, writer: SampledUses, contents: Sequence[tuple[str, str]]) -> bool:
    try:
        await writer.complete(await attributor.read_sampled(contents))
    except Exception as error:
        _tell(error)
        return False
    return True


def _tell(error: Exception) -> None:
    """Log why uses wait. The traceback of what nobody foresaw goes along, and never the content of a query."""
    if isinstance(error, TributeError | LakeError):
        _log.warning("Sampled uses wait for their read-out: %s", error)
    else:
        lines = "".join(traceback.format_tb(error.__traceback__))
        _log.error("Sampled uses wait for their read-out: %s\n%s", type(error).__name__, lines)
