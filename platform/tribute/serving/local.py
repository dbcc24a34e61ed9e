"""The service in this process, without Ray: for tests, notebooks and programs of one's own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from tribute.config import Project
from tribute.serving.attributor import Attributor
from tribute.serving.engine import ServiceEngine
from tribute.serving.reports import Reporter
from tribute.serving.writer import Writer
from tribute_storage import LakeError


@asynccontextmanager
async def local_engine(project: Project) -> AsyncIterator[ServiceEngine]:
    """An engine whose parts live in the running event loop. At the end, all uses are brought to the lake.

    Raises:
        TributeError: the project cannot be served as it stands.
        LakeError: its lake cannot be read.
    """
    writers = [Writer(project, shard) for shard in range(project.serving.writers)]

    async def flush() -> None:
        for writer in writers:
            await writer.flush()

    try:
        yield ServiceEngine(project, Attributor(project), writers, Reporter(project, flush))
    finally:
        for writer in writers:
            with suppress(LakeError):
                await writer.close()
