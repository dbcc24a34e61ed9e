"""What a process holds of several models: no load is lost, facts stay known, and drawn uses wake their model."""

import asyncio
from typing import Any

import pytest

from tribute.errors import ConfigError
from tribute.serving.models import HeldModel, ModelsReplica
from tribute.serving.writing.flushing import WriterState


class Attributing:
    """An attributor that only says who it is."""

    distils = False

    def __init__(self, name: str) -> None:
        self.name = name

    async def served(self) -> Any:
        return f"facts of {self.name}"


class Waiting:
    """An outbox with drawn uses that are still to be read out."""

    def __init__(self, unread: int) -> None:
        self.unread = unread

    async def state(self) -> WriterState:
        return WriterState(self.unread, self.unread, 0, 0, "", 0)


class Models(ModelsReplica):
    """Loads slowly, and remembers what it loaded."""

    async def loaded(self, name: str) -> HeldModel:
        self.loads = [*getattr(self, "loads", []), name]
        await asyncio.sleep(0.05)
        if name == "broken":
            raise ConfigError("no such model")
        held = HeldModel.__new__(HeldModel)
        held.attributor, held.writers = Attributing(name), self._writers[name]  # type: ignore[assignment]
        return held


async def models(**unread: int) -> Models:
    """The models of projects with so many uses to read out."""
    made = Models.__new__(Models)
    projects: Any = dict.fromkeys(unread)
    await ModelsReplica.__init__(made, projects, {name: [Waiting(count)] for name, count in unread.items()})
    made._waking.cancel()
    return made


def test_a_load_whose_caller_left_is_there_for_the_next_one() -> None:
    async def run() -> tuple[list[str], str]:
        found = await models(first=0, second=0)
        left = asyncio.create_task(found.model("second"))
        await asyncio.sleep(0.01)
        left.cancel()
        await asyncio.sleep(0.1)
        return found.loads, (await found.model("second")).attributor.name  # type: ignore[attr-defined]

    assert asyncio.run(run()) == (["first", "second"], "second")


def test_callers_at_once_share_a_load() -> None:
    async def run() -> list[str]:
        found = await models(first=0, second=0)
        await asyncio.gather(*(found.model("second") for _ in range(3)))
        return found.loads

    assert asyncio.run(run()) == ["first", "second"]


def test_a_load_that_failed_is_tried_again() -> None:
    async def run() -> list[str]:
        found = await models(first=0, broken=0)
        for _ in range(2):
            with pytest.raises(ConfigError):
                await found.model("broken")
        return found.loads

    assert asyncio.run(run()) == ["first", "broken", "broken"]


def test_facts_need_no_second_load() -> None:
    async def run() -> tuple[list[Any], list[str]]:
        found = await models(first=0, second=0)
        return [await found.served("second") for _ in range(2)], found.loads

    assert asyncio.run(run()) == (["facts of second"] * 2, ["first", "second"])


def test_a_model_with_drawn_uses_is_loaded_though_nobody_asks_for_it() -> None:
    async def run() -> list[str]:
        found = await models(first=0, idle=0, drawn=3)
        await found.wake()
        return found.loads

    assert asyncio.run(run()) == ["first", "drawn"]
