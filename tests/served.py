"""The real service of a project on a socket of this machine, in a thread, without Ray."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from tribute.config import Project
from tribute.serving import local_engine
from tribute_jobs.service.application import web_of


@contextmanager
def served(project: Project) -> Iterator[str]:
    """The address of a running service. At the end, all recorded uses are in the lake."""
    with socket.socket() as own:
        own.bind(("127.0.0.1", 0))
        stop, ready = threading.Event(), threading.Event()
        failed: list[BaseException] = []

        async def serve() -> None:
            async with local_engine(project) as engine:
                server = uvicorn.Server(uvicorn.Config(web_of([engine]), log_level="warning"))
                running = asyncio.create_task(server.serve([own]))
                while not server.started and not running.done():
                    await asyncio.sleep(0.01)
                ready.set()
                await asyncio.to_thread(stop.wait)
                server.should_exit = True
                await running

        def run() -> None:
            try:
                asyncio.run(serve())
            except BaseException as error:
                failed.append(error)
            finally:
                ready.set()

        thread = threading.Thread(target=run, name="service")
        thread.start()
        ready.wait()
        try:
            if not failed:
                yield f"http://127.0.0.1:{own.getsockname()[1]}"
        finally:
            stop.set()
            thread.join()
        if failed:
            raise failed[0]
