"""The service in this process, without Ray: for tests, notebooks and programs of one's own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from tribute.config import Project
from tribute.serving.attributing.attributor import Attributor
from tribute.serving.attributing.background import keep_reading
from tribute.serving.engine import ServiceEngine
from tribute.serving.reports import PeriodReporter
from tribute.serving.writing.writer import Writer, drain
from tribute_storage import LakeError


@asynccontextmanager
async def local_engine(project: Project) -> AsyncIterator[ServiceEngine]:
    """An engine whose parts live in the running event loop. At the end, all uses are brought to the lake.

    Raises:
        TributeError: the project cannot be served as it stands.
        LakeError: its lake cannot be read.
    """
    writers = [Writer(project, shard) for shard in range(project.serving.writers)]

    async def counted(period: str) -> float:
        return sum([await writer.counted(period) for writer in writers])

    attributor = Attributor(project, counted)
    reading = asyncio.get_running_loop().create_task(keep_reading(attributor, writers))
    try:
        yield ServiceEngine(project, attributor, writers, PeriodReporter(project, lambda: drain(writers)))
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        for writer in writers:
            with suppress(LakeError):
                await writer.close()
