"""The outbox on its way to the lake: flushes that end, a lake that is gone, two outboxes, resumed reports."""

import asyncio
import shutil
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.projects import article
from tribute.config import Project, ServingSettings, load_project
from tribute.errors import MachineError
from tribute.serving import Idempotency, PeriodReporter, Writer, local_engine
from tribute.serving.attributing import attributor
from tribute.serving.schemas import AttributionRequest, Query
from tribute.serving.writing.writer import WriterState, drain
from tribute_storage import LakeError, open_tables
from tribute_storage.outbox import ContentConflict

MONTH = "2026-08"


@pytest.fixture
def project(finished: Project, tmp_path: Path) -> Project:
    shutil.copytree(finished.workdir.parent, tmp_path / "press")
    return load_project(tmp_path / "press" / "project.yaml")


def serving(project: Project, **settings: Any) -> Project:
    return project.model_copy(update={"serving": ServingSettings(**settings)})


def request(*names: str, text: str = "", dated: bool = True) -> AttributionRequest:
    time = {"time": f"{MONTH}-05T12:00:00+00:00"} if dated else {}
    queries = [{"query_id": name, "text": text or article("daily", 7, 1)} | time for name in names]
    return AttributionRequest.model_validate({"queries": queries})


def in_lake(project: Project) -> list[str]:
    """Ids of recorded uses, with repetitions."""
    with open_tables(project.lake_root, "queries") as lake:
        rows = lake.execute("select query_id from queries where origin = 'service' order by 1").fetchall()
    return [name for (name,) in rows]


def test_a_lake_that_is_gone_is_told_and_nothing_is_lost(project: Project) -> None:
    """`_delta_log` of the queries is in the way: every flush fails until it is back."""
    log = Path(project.lake_root) / "queries" / "_delta_log"

    async def serve() -> None:
        async with local_engine(project) as engine:
            await engine.attribute(request("a"))
            log.rename(log.with_name("aside"))
            log.write_text("no folder")
            with pytest.raises(LakeError):
                await engine.flush()
            found = await engine.ready()
            assert not found.ready
            assert any(each.startswith("lake: ") for each in found.missing)
            assert "lake" in found.parts and {*found.parts} <= {"outbox", "lake"}
            answer = orjson.loads(await engine.attribute(request("b")))  # it goes on taking uses
            assert answer["recorded"] == 1
            log.unlink()
            log.with_name("aside").rename(log)
            assert await engine.flush() == 2
            assert (await engine.ready()).ready

    asyncio.run(serve())
    assert in_lake(project) == ["a", "b"]


def test_many_requests_share_commits_and_each_use_is_recorded_once(project: Project) -> None:
    async def serve() -> list[int]:
        async with local_engine(project) as engine:
            asked = [engine.attribute(request(f"u{number}", "shared")) for number in range(40)]
            return [orjson.loads(answer)["recorded"] for answer in await asyncio.gather(*asked)]

    assert sum(asyncio.run(serve())) == 41
    assert in_lake(project) == sorted([*(f"u{number}" for number in range(40)), "shared"])


def test_uses_are_recorded_while_every_shared_thread_is_busy(project: Project) -> None:
    """Outboxes, batches and flushes have threads of their own, whatever pages and reports compute meanwhile."""
    over = threading.Event()

    async def serve() -> tuple[int, int]:
        async with local_engine(project) as engine:
            await engine.attribute(request("before"))
            asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
            busy = asyncio.get_running_loop().run_in_executor(None, over.wait, 60)
            try:
                async with asyncio.timeout(20):
                    answer = orjson.loads(await engine.attribute(request("meanwhile")))
                    flushed = await engine.flush()
            finally:
                over.set()
                await busy
            return answer["recorded"], flushed

    assert asyncio.run(serve()) == (1, 2)
    assert in_lake(project) == ["before", "meanwhile"]


def test_a_large_request_is_read_in_a_thread_and_small_ones_are_answered_meanwhile(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The large one is read once the small one is answered: on one thread, it would wait for ever."""
    answered, read = threading.Event(), attributor.requested_table

    def waiting(model: Any, settings: Any, queries: Sequence[Query], ids: Sequence[str]) -> Any:
        if len(queries) > 1:
            assert answered.wait(20)
        return read(model, settings, queries, ids)

    async def serve() -> int:
        async with local_engine(project) as engine:
            await engine.attribute(request("before"))
            monkeypatch.setattr(attributor, "requested_table", waiting)
            names = [f"many-{number}" for number in range(attributor.LARGE_QUERIES + 1)]
            large = asyncio.ensure_future(engine.attribute(request(*names)))
            await asyncio.sleep(0.1)
            await engine.attribute(request("small"))
            answered.set()
            return orjson.loads(await large)["recorded"]

    assert asyncio.run(serve()) == attributor.LARGE_QUERIES + 1


def test_a_conflict_in_one_outbox_keeps_the_request_out_of_the_others(project: Project) -> None:
    two = serving(project, writers=2)
    names = [f"n{number}" for number in range(12)]

    async def serve() -> None:
        async with local_engine(two) as engine:
            await engine.attribute(request("n3"))
            with pytest.raises(ContentConflict):
                await engine.attribute(request("n3", *names[4:], text="another text"))
            key = Idempotency("caller key", "sha")
            first = await engine.attribute(request(*names), None, key)
            assert orjson.loads(first)["recorded"] == 11
            assert await engine.attribute(request(*names), None, key) == first
            with pytest.raises(ContentConflict):
                await engine.attribute(request(*names), None, key._replace(body_sha256="other"))

    asyncio.run(serve())
    assert in_lake(project) == sorted(names)

    async def alone() -> None:
        async with local_engine(project):
            pass

    asyncio.run(alone())  # nothing waits in the second outbox, so the service needs it no more


def test_a_use_is_found_however_its_id_is_written(project: Project) -> None:
    """An accent in one character, or in two; before the use is in the lake, and after."""

    async def serve() -> None:
        async with local_engine(serving(project, keep_content_days=1.0)) as engine:
            await engine.attribute(request("caf\u00e9"))
            for waits in (True, False):
                found = await engine.use(" cafe\u0301")
                assert found is not None and found.waits == waits
                assert (found.shown["query_id"], found.shown["period"], found.weight) == ("caf\u00e9", MONTH, 1.0)
                assert found.time.isoformat() == f"{MONTH}-05T12:00:00+00:00"
                assert await engine.content("cafe\u0301") == {"text": article("daily", 7, 1)}
                await engine.flush()

    asyncio.run(serve())


def test_uses_go_to_the_lake_by_themselves(project: Project) -> None:
    quick = serving(project, flush_every_s=0.2)

    async def serve() -> int:
        writer = Writer(quick)
        flushing = asyncio.create_task(writer.keep_flushing())
        async with local_engine(quick) as engine:
            await engine.attribute(request("a"))
            for _ in range(100):
                if (state := await writer.state()).waiting == 0 and state.flushed:
                    break
                await asyncio.sleep(0.1)
            flushing.cancel()
            await asyncio.gather(flushing, return_exceptions=True)
            return state.flushed

    assert asyncio.run(serve()) == 1
    assert in_lake(project) == ["a"]


class Busy:
    """A writer that uses keep coming to; the read-outs of the first ones are done after a while, or never."""

    def __init__(self, ends: bool) -> None:
        self.asked, self.ends = 0, ends

    async def flush(self) -> int:
        return 0

    async def state(self) -> WriterState:
        self.asked += 1
        oldest = self.asked if self.ends else 1
        return WriterState(9, 3, 0, 0, "", 0, newest=2 + 10 * (self.asked > 1), oldest_unread=oldest)


def test_draining_waits_for_what_was_there_and_for_nothing_later() -> None:
    busy = Busy(ends=True)
    asyncio.run(drain([busy], patience_s=0.4))  # while as many come as are read out
    assert busy.asked == 3  # chunk 3 came later


def test_draining_gives_up_where_nothing_is_read_out() -> None:
    with pytest.raises(MachineError, match="3 recorded uses still wait"):
        asyncio.run(drain([Busy(ends=False)], patience_s=0.1))


def test_a_report_that_was_interrupted_is_made_after_a_restart(project: Project) -> None:
    async def hang() -> None:
        await asyncio.sleep(3600)

    async def order() -> str:
        reporter = PeriodReporter(project, hang)
        first = await reporter.order("2026-10", "key")
        again = await reporter.order("2026-10", "key")
        assert first.report_id == again.report_id
        with pytest.raises(ContentConflict, match="came before with an order of 2026-10"):
            await reporter.order("2026-11", "key")
        await asyncio.sleep(0.1)
        found = await reporter.report(first.report_id)
        assert found is not None
        assert found.state == "running"
        return first.report_id

    async def nothing() -> None:
        pass

    async def resume(report_id: str) -> Any:
        reporter = PeriodReporter(project, nothing)
        reporter.resume()
        while (found := await reporter.report(report_id)) is not None and found.state in ("queued", "running"):
            await asyncio.sleep(0.05)
        assert [each.report_id for each in await reporter.reports()] == [report_id]
        return found

    found = asyncio.run(resume(asyncio.run(order())))
    assert (found.state, found.report["queries"]) == ("done", 12)
