"""Sampled uses are read out in the background, whatever else cannot be."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.unit.storage.outbox.uses import EXACT, RUN, Use, submission
from tribute.serving.attributing.background import keep_reading
from tribute_storage import LakeError
from tribute_storage.outbox import Outbox
from tribute_storage.outbox.readings import Reading


class Uses:
    """An outbox as the background finds it; its disk fails once."""

    def __init__(self, path: Path) -> None:
        self.outbox, self.fails = Outbox(path, RUN), True

    async def lease(self, most: int) -> list[tuple[str, str]]:
        if self.fails:
            self.fails = False
            raise LakeError("the disk refuses")
        return self.outbox.readings.lease(most)

    async def complete(self, readings: Sequence[Reading]) -> None:
        self.outbox.readings.complete(readings)


class Reader:
    """Reads out everything but one content."""

    async def read_sampled(self, contents: Sequence[tuple[str, str]]) -> list[Reading]:
        for _, content in contents:
            if content == "secret words":
                raise ValueError(f"cannot read {content}")
        return [Reading(name, EXACT, None) for name, _ in contents]


def test_one_that_cannot_be_read_out_keeps_no_other_waiting(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    uses = Uses(tmp_path / "outbox.sqlite")
    bad = Use("bad", content="secret words", unread=True)
    uses.outbox.record([submission([bad, *(Use(f"u{number}", unread=True) for number in range(20))])])

    async def read() -> None:
        reading = asyncio.create_task(keep_reading(Reader(), [uses]))  # type: ignore[arg-type]
        for _ in range(200):
            if uses.outbox.readings.waiting() == 1:
                break
            await asyncio.sleep(0.02)
        assert not reading.done()
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)

    asyncio.run(read())
    assert uses.outbox.readings.waiting() == 1
    assert uses.outbox.content("bad") == "secret words"
    assert "the disk refuses" in caplog.text
    assert "ValueError" in caplog.text
    assert "secret words" not in caplog.text
