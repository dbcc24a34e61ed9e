"""The models that a process holds: loaded when they are asked for, and when drawn uses wait to be read out.

Serve pickles this class; see `replicas`.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any
from weakref import WeakValueDictionary

from tribute.config import Project
from tribute.serving.schemas import ServedModel

WAKE_S = 5.0
"""How often is looked for drawn uses whose model is not loaded."""
_log = logging.getLogger(__name__)


class HeldModel:
    """An attributor in memory, and its work in the background, which ends when Serve puts it away."""

    _reading: "asyncio.Task[None] | None" = None

    def __init__(self, project: Project, writers: Sequence[Any]) -> None:
        from tribute.serving.attributing.attributor import Attributor  # noqa: PLC0415  (see above)

        self.writers = writers
        self.attributor = Attributor(project, self._counted)

    async def _counted(self, period: str) -> float:
        return sum(await asyncio.gather(*(writer.counted(period) for writer in self.writers)))

    def start(self) -> None:
        """Begin to read sampled uses out."""
        from tribute.serving.attributing.background import keep_reading  # noqa: PLC0415  (see above)

        if self.attributor.distils and self._reading is None:
            self._reading = asyncio.get_running_loop().create_task(keep_reading(self.attributor, self.writers))

    async def stop(self) -> None:
        """Read out no more."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)

    def __del__(self) -> None:
        if self._reading is not None and not self._reading.done():
            self._reading.get_loop().call_soon_threadsafe(self._reading.cancel)


class ModelsReplica:
    """Holds models: those that were asked for last.

    Args:
        writers: of each project.
    """

    async def __init__(  # type: ignore[misc]
        self, projects: Mapping[str, Project], writers: Mapping[str, Sequence[Any]]
    ) -> None:
        self._projects, self._writers = projects, writers
        self._loading = dict[str, asyncio.Task[HeldModel]]()
        self._held = WeakValueDictionary[str, HeldModel]()
        self._facts = dict[str, ServedModel]()
        await self.model(next(iter(projects)))
        self._waking = asyncio.get_running_loop().create_task(self._keep_waking())

    async def model(self, name: str) -> HeldModel:
        """Load the model of a project. `application` lets Serve keep what was loaded, up to a number.

        A caller that leaves stops nothing: the next one finds what was loaded meanwhile.
        """
        if name not in self._loading:
            self._loading[name] = asyncio.get_running_loop().create_task(self.loaded(name))
        loading = self._loading[name]
        await asyncio.wait([loading])
        self._loading.pop(name, None)
        held = self._held[name] = loading.result()
        held.start()
        return held

    async def loaded(self, name: str) -> HeldModel:
        """A model, fresh from its files."""
        return await asyncio.to_thread(HeldModel, self._projects[name], self._writers[name])

    async def served(self, name: str) -> ServedModel:
        """See `Attributor.served`. What was asked before is answered without the model."""
        if name not in self._facts:
            self._facts[name] = await (await self.model(name)).attributor.served()
        return self._facts[name]

    async def wake(self) -> None:
        """Load the models that are not held and have drawn uses to read out: their months wait for them."""
        for name in self._projects:
            if name in self._held:
                continue
            states = await asyncio.gather(*(writer.state() for writer in self._writers[name]))
            if any(state.unread for state in states):
                await self.model(name)

    async def stop_reading(self) -> None:
        """Read out no more, before the outboxes are closed."""
        if waking := getattr(self, "_waking", None):
            waking.cancel()
        for held in [*getattr(self, "_held", {}).values()]:
            await held.stop()

    async def _keep_waking(self) -> None:
        while True:
            await asyncio.sleep(WAKE_S)
            try:
                await self.wake()
            except Exception:  # an outbox that is away, or a model that does not load: it is tried again
                _log.exception("Drawn uses may wait for a model that is not loaded")
