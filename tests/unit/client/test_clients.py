"""Both clients against a service on a real socket, behind a wire that breaks."""

import asyncio
import inspect
from collections.abc import Callable, Iterator
from types import NoneType
from typing import Any, get_args, get_type_hints

import pytest
from pydantic import BaseModel

from tests.unit.client.contract_service import KEY, SOURCES, ContractService, service_and_wire
from tests.unit.client.faulty_wire import FaultyWire
from tribute.client import (
    AsyncClient,
    Client,
    ModelUse,
    OfferedModel,
    ServedAttribution,
    ServedInfluence,
    ServedOthers,
    ServiceError,
)
from tribute.client.answers import AttributionReply
from tribute.client.retry import FIRST_PAUSE_S
from tribute.errors import ConfigError, MachineError, TributeError
from tribute.serving.schemas import AttributionAnswer, Influence, OtherInfluences, QueryAttribution, ServedModel

Ask = Callable[..., Any]


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[ContractService, FaultyWire]]:
    with service_and_wire() as both:
        yield both


@pytest.fixture
def service(running: tuple[ContractService, FaultyWire]) -> ContractService:
    service = running[0]
    service.__init__()
    return service


@pytest.fixture
def wire(running: tuple[ContractService, FaultyWire]) -> FaultyWire:
    running[1].faults.clear()
    return running[1]


def blocking(url: str, method: str, *given: Any, key: str | None = KEY, **options: Any) -> Any:
    settings = {name: options.pop(name) for name in ("retries", "timeout", "max_queries") if name in options}
    with Client(url, key, **settings) as client:
        return getattr(client, method)(*given, **options)


def awaited(url: str, method: str, *given: Any, key: str | None = KEY, **options: Any) -> Any:
    settings = {name: options.pop(name) for name in ("retries", "timeout", "max_queries") if name in options}

    async def ask() -> Any:
        async with AsyncClient(url, key, **settings) as client:
            return await getattr(client, method)(*given, **options)

    return asyncio.run(ask())


@pytest.fixture(params=[blocking, awaited], ids=["Client", "AsyncClient"])
def ask(request: pytest.FixtureRequest, wire: FaultyWire) -> Ask:
    return lambda *given, **options: request.param(wire.url, *given, **{"max_queries": 256, **options})


def test_both_clients_have_the_same_methods() -> None:
    def shape(kind: type) -> dict[str, inspect.Signature]:
        methods = {name: each for name, each in vars(kind).items() if not name.startswith("_")}
        return {name: inspect.signature(each) for name, each in methods.items()}

    assert shape(Client) == shape(AsyncClient)


def test_uses_are_attributed_and_recorded(ask: Ask, service: ContractService) -> None:
    answers = ask(
        "attribute", ["one text", {"text": "two", "query_id": "q2"}, ModelUse("three", weight=2)], top_k=2
    )
    assert (answers.recorded, answers.model, answers.simulate_run, len(answers)) == (3, "m1", "s1", 3)
    assert answers[1].query_id == "q2"
    assert [source.source_id for source in answers[0].sources] == ["aurora", "borealis"]
    assert answers[0].others is not None
    assert (answers[0].others.count, answers[0].others.influence_nats) == (1, 1.0)
    assert {use["query_id"] for use in service.seen[0]["queries"]} == set(service.uses)
    assert service.seen[0]["queries"][2]["weight"] == 2
    assert ask("attribution", "q2").period == "2026-10"


def test_a_use_of_which_sums_alone_are_kept_says_so(ask: Ask, service: ContractService) -> None:
    ask("attribute", {"text": "one text", "query_id": "q1"})
    service.predicted.add("q1")
    found = ask("attribution", "q1")
    assert (found.readout, found.sources, found.note) == ("distilled", (), "Predicted")
    assert found.others == ServedOthers(len(SOURCES), None)


@pytest.mark.parametrize(
    ("answered", "read"),
    [
        (AttributionAnswer, AttributionReply),
        (QueryAttribution, ServedAttribution),
        (Influence, ServedInfluence),
        (OtherInfluences, ServedOthers),
        (ServedModel, OfferedModel),
    ],
)
def test_the_client_reads_every_field_that_the_service_may_answer(answered: type[BaseModel], read: type) -> None:
    """And takes null for those that may be null."""
    hints = get_type_hints(read)
    assert set(answered.model_fields) <= set(hints)
    nullable = {name for name, each in answered.model_fields.items() if NoneType in get_args(each.annotation)}
    assert {name for name in nullable if NoneType not in get_args(hints[name])} == set()


def test_the_service_chooses_the_model_by_its_address(ask: Ask, service: ContractService) -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'model'"):
        ask("attribute", "one text", model="m2")
    assert ask("models")[0].path == "/models/m1"
    assert service.seen == []


def test_a_publisher_level_without_a_cut_and_without_a_record(ask: Ask, service: ContractService) -> None:
    answers = ask("attribute", "one text", level="publisher", top_k=None, record=False)
    assert [source.publisher_id for source in answers[0].sources] == list(SOURCES)
    assert (answers.recorded, service.uses) == (0, {})


@pytest.mark.parametrize("fault", ["reset", "lost"])
def test_a_broken_connection_records_once(
    ask: Ask, service: ContractService, wire: FaultyWire, fault: str
) -> None:
    wire.faults.extend([fault, fault])
    answers = ask("attribute", ["one text", "two texts"])
    assert (answers.recorded, len(service.uses)) == (2, 2)
    assert len({(seen["key"], *seen["ids"]) for seen in service.seen}) == 1
    assert len(service.seen) == {"reset": 1, "lost": 3}[fault]


def test_a_slow_answer_is_asked_for_again(ask: Ask, service: ContractService, wire: FaultyWire) -> None:
    wire.faults.append("slow")
    assert ask("attribute", "one text", timeout=0.4).recorded == 1
    assert len(service.uses) == 1


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_busy_service_is_asked_again(ask: Ask, service: ContractService, status: int) -> None:
    service.faults.extend([(status, {}), (status, {"Retry-After": "0"})])
    assert ask("attribute", "one text").recorded == 1


def test_a_retry_after_is_kept(service: ContractService, wire: FaultyWire) -> None:
    service.faults.append((503, {"Retry-After": "1"}))
    begin = asyncio.new_event_loop().time()
    assert blocking(wire.url, "attribute", "one text").recorded == 1
    assert asyncio.new_event_loop().time() - begin >= 1 + FIRST_PAUSE_S / 2


def test_a_service_that_stays_busy_is_named(ask: Ask, service: ContractService) -> None:
    service.faults.extend([(503, {})] * 3)
    with pytest.raises(ServiceError, match=r"answered 503 .Fault. 2 times: Ordered by the test") as caught:
        ask("attribute", "one text", retries=1, idempotency_key="month-7")
    assert caught.value.status == 503
    assert "idempotency_key='month-7'" in str(caught.value)
    assert service.uses == {}


def test_a_pause_that_is_too_long_ends_the_call(ask: Ask, service: ContractService) -> None:
    service.faults.append((429, {"Retry-After": "3600"}))
    with pytest.raises(ServiceError, match="asks to come back in 3,600 s"):
        ask("attribute", "one text")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422, 500])
def test_a_refusal_is_not_repeated(ask: Ask, service: ContractService, status: int) -> None:
    service.faults.extend([(status, {}), (503, {})])
    with pytest.raises(ServiceError) as caught:
        ask("attribute", "one text")
    assert (caught.value.status, caught.value.title, caught.value.detail) == (
        status,
        "Fault",
        "Ordered by the test",
    )
    assert len(service.faults) == 1


def test_an_unknown_key_is_refused_and_not_shown(ask: Ask, service: ContractService) -> None:
    with pytest.raises(ServiceError, match=r"401 .Unauthorized.: The key is unknown") as caught:
        ask("attribute", "one text", key="trb_wrong000_hidden")
    assert "hidden" not in f"{caught.value!r} {caught.value}"
    assert service.seen == []


@pytest.mark.parametrize("asked", [blocking, awaited])
def test_an_unreachable_service_is_the_machine_s(asked: Ask) -> None:
    with pytest.raises(MachineError, match=r"does not answer after 2 tries: http://127.0.0.1:9: .*tribute serve"):
        asked("http://127.0.0.1:9", "attribute", "one text", retries=1)


def test_a_long_list_is_cut_and_joined_in_order(ask: Ask, service: ContractService) -> None:
    told: list[tuple[int, int]] = []
    answers = ask(
        "attribute", [f"text {i}" for i in range(10)], max_queries=4, progress=lambda *seen: told.append(seen)
    )
    assert told == [(4, 10), (8, 10), (10, 10)]
    assert [len(seen["ids"]) for seen in service.seen] == [4, 4, 2]
    texts = [use["text"] for seen in service.seen for use in seen["queries"]]
    assert texts == [f"text {i}" for i in range(10)]
    assert [answer.query_id for answer in answers] == [name for seen in service.seen for name in seen["ids"]]
    assert answers.recorded == 10


def test_the_service_says_how_many_uses_it_takes(ask: Ask, service: ContractService) -> None:
    service.max_queries = 3
    assert len(ask("attribute", [f"text {i}" for i in range(8)], max_queries=None)) == 8
    assert [len(seen["ids"]) for seen in service.seen] == [3, 3, 2]
    assert ask("models", max_queries=None)[0].max_queries == 3
    with pytest.raises(ServiceError, match="4 queries, expected at most 3"):
        ask("attribute", [f"text {i}" for i in range(4)])


def test_a_body_that_is_too_large_is_cut_in_two(ask: Ask, service: ContractService) -> None:
    service.max_body = 400
    answers = ask("attribute", [f"text {i}" for i in range(10)], idempotency_key="k")
    assert [answer.query_id for answer in answers] == [f"k-{i}" for i in range(10)]
    assert answers.recorded == len(service.uses) == 10


def test_one_use_that_is_too_large_is_refused(ask: Ask, service: ContractService) -> None:
    service.max_body = 400
    with pytest.raises(ServiceError, match="The body is longer than 400 bytes"):
        ask("attribute", ["short", "long " * 200])


def test_a_call_that_failed_half_way_goes_on(ask: Ask, service: ContractService, wire: FaultyWire) -> None:
    texts = [f"text {i}" for i in range(6)]
    wire.faults.extend(["", "", "lost", "lost"])
    with pytest.raises(MachineError, match="4 of 6 queries were answered before") as caught:
        ask("attribute", texts, max_queries=2, retries=1)
    key = str(caught.value).split("idempotency_key='")[1].split("'")[0]
    before = dict(service.uses)
    answers = ask("attribute", texts, max_queries=2, idempotency_key=key)
    assert before.items() <= service.uses.items()
    assert len(answers) == len(service.uses) == 6


def test_a_model_that_changes_in_between_is_told(ask: Ask, service: ContractService) -> None:
    def change(done: int, _: int) -> None:
        service.model = f"after{done}"

    answers = ask("attribute", ["one text", "two texts"], max_queries=1, progress=change)
    assert [answer.model for answer in answers] == ["m1", "after1"]
    assert answers.simulate_run == "s1"
    with pytest.raises(TributeError, match="2 different values of model: m1, after1"):
        _ = answers.model


def test_a_report_is_waited_for(ask: Ask, service: ContractService) -> None:
    done = ask("report", "2026-10")
    assert (done.state, service.polls) == ("done", 3)
    assert done.report.publishers[0].sources[0].source_id == "aurora-1"
    service.polls = 0
    assert ask("report", "2026-10", wait_s=0).state == "queued"
    assert ask("report_state", "2026-10").state == "running"


@pytest.mark.usefixtures("service")
def test_a_report_that_fails_says_why(ask: Ask) -> None:
    with pytest.raises(ServiceError, match=r"report of 1999-01 failed: No use in 1999-01. Ingest some"):
        ask("report", "1999-01")


@pytest.mark.usefixtures("service")
def test_a_report_that_takes_too_long_goes_on(ask: Ask) -> None:
    with pytest.raises(MachineError, match=r"still running after 0 s.*report_state\('2026-10'\)"):
        ask("report", "2026-10", wait_s=0.1)


def test_readiness(ask: Ask, service: ContractService) -> None:
    assert ask("ready")
    service.faults.append((503, {}))
    assert not ask("ready")
    service.faults.append((503, {}))
    assert ask("ready", wait_s=5)
    assert not blocking("http://127.0.0.1:9", "ready")


def test_an_id_of_any_letters_is_found(ask: Ask) -> None:
    odd = "a/b?c#d e%2F\u00e9"
    ask("attribute", {"text": "one text", "query_id": odd})
    assert ask("attribution", odd).query_id == odd
    with pytest.raises(ServiceError, match="No use has the id no"):
        ask("attribution", "no")


def test_no_uses_ask_nothing(ask: Ask, service: ContractService) -> None:
    assert (len(ask("attribute", [])), service.seen) == (0, [])


@pytest.mark.parametrize(
    ("url", "options", "message"),
    [
        ("127.0.0.1:8000", {}, "expected the address of the service"),
        ("ftp://host", {}, "expected the address of the service"),
        ("http://user:word@host", {}, "Leave them out"),
        ("http://host", {"key": "two words"}, "tribute keys create"),
        ("http://host", {"timeout": 0}, "expected seconds above 0"),
        ("http://host", {"retries": -1}, "retries is -1"),
    ],
)
def test_a_client_that_cannot_work_is_refused(url: str, options: dict, message: str) -> None:
    for kind in (Client, AsyncClient):
        with pytest.raises(ConfigError, match=message):
            kind(url, **options)


def test_an_answer_of_another_program_is_refused(ask: Ask, service: ContractService) -> None:
    service.item = lambda query_id, *_: {"query_id": f"other-{query_id}", "period": "", "sources": [], "x": 1}
    with pytest.raises(ServiceError, match=r"cannot be read .*measurement_nats.*same version"):
        ask("attribute", "one text")
    del service.item
    service.item = lambda *seen: ContractService.item(service, "another", *seen[1:])
    with pytest.raises(TributeError, match="not about the 1 queries that were sent"):
        ask("attribute", "one text")
    del service.item
