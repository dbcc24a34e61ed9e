"""Uses as JSON, and how many are cut into requests and joined again: for any list and any limits."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tribute.client import ModelUse, ServedAttributions
from tribute.client.conversations import AttributionOptions, Conversations
from tribute.client.exchange import NoReply, Pause, Reply, Send
from tribute.client.retry import Backoff
from tribute.client.uses import WrittenUse, pieces, written
from tribute.errors import TributeError

TEXT = st.text(min_size=1, max_size=30)


def answer(send: Send) -> Reply:
    """The answer of a service that knows every use and has one source, named after the use's text."""
    asked = json.loads(send.body or b"")["queries"]
    items = [
        {
            "query_id": use["query_id"],
            "period": "2026-10",
            "measurement_nats": 0.5,
            "sources": [{"source_id": use["text"], "influence_nats": 1, "std_error_nats": 0}],
        }
        for use in asked
    ]
    body = {"model": "m", "simulate_run": "s", "recorded": len(items), "queries": items}
    return Reply(200, {}, json.dumps(body).encode())


@given(st.lists(TEXT, max_size=40), st.integers(1, 7), st.data())
def test_answers_come_in_the_order_of_the_uses(texts: list[str], most: int, data: st.DataObject) -> None:
    """Whatever the cuts, and whichever requests are too large, lost or met by a busy service."""
    asking = Conversations(Backoff(retries=100), most)
    steps = asking.attribute([{"text": text} for text in texts], AttributionOptions(), None, None)
    reply: Reply | NoReply | None = None
    sent: dict[str, bytes | None] = {}
    try:
        while True:
            step = steps.send(reply)
            if isinstance(step, Pause):
                reply = None
                continue
            count = len(json.loads(step.body or b"")["queries"])
            assert 1 <= count <= most
            assert sent.setdefault(step.headers["Idempotency-Key"], step.body) == step.body
            ways = ["answered", "lost", "busy", *(["large"] if count > 1 else [])]
            way = data.draw(st.sampled_from(ways))
            replies = {"answered": answer(step), "lost": NoReply("reset")}
            reply = replies.get(way) or Reply({"busy": 503, "large": 413}[way], {}, b"")
    except StopIteration as end:
        found: ServedAttributions = end.value
    assert [each.sources[0].source_id for each in found] == texts
    assert found.recorded == len(texts)


@given(st.lists(st.integers(1, 30), max_size=50), st.integers(1, 9), st.integers(1, 100))
def test_pieces_cover_all_uses_within_the_limits(sizes: list[int], most: int, most_bytes: int) -> None:
    uses = [WrittenUse(str(place), b"x" * size) for place, size in enumerate(sizes)]
    cuts = list(pieces(uses, most, most_bytes))
    assert [place for start, end in cuts for place in range(start, end)] == list(range(len(uses)))
    for start, end in cuts:
        assert end - start <= most
        assert end - start == 1 or sum(sizes[start:end]) <= most_bytes
    for (start, end), _ in pairwise(cuts):
        assert end - start == most or sum(sizes[start : end + 1]) > most_bytes


def test_a_use_of_every_field_is_written() -> None:
    use = ModelUse(
        features=np.array([1.5, 2], dtype=np.float32),
        label=np.int64(3),
        query_id=" q1 ",
        time=datetime(2026, 10, 5, 12, tzinfo=UTC),
        customer_id="c",
        weight=0.5,
    )
    [one] = written(use, "key")
    assert one.query_id == "q1"
    assert json.loads(one.json) == {
        "query_id": "q1",
        "features": [1.5, 2.0],
        "label": 3,
        "time": "2026-10-05T12:00:00+00:00",
        "customer_id": "c",
        "weight": 0.5,
    }


def test_uses_without_ids_have_the_same_ids_for_the_same_key() -> None:
    texts = ["one text", "two texts"]
    assert written(texts, "k") == written(iter(texts), "k")
    assert [use.query_id for use in written(texts, "k")] == ["k-0", "k-1"]


@pytest.mark.parametrize(
    ("use", "message"),
    [
        ({"txt": "one"}, "Query 2: unknown field 'txt'. Did you mean text?"),
        ({"text": "one", "query_id": ""}, "Query 2: query_id is '', expected non-empty text"),
        ({"text": "one", "query_id": 7}, "query_id is 7, expected text"),
        ({"features": [1.0, "x"]}, "'x' is not a number"),
        ({"features": "12"}, "'1' is not a number"),
        ({"text": 5}, "text is 5, expected text"),
        ({"text": "one", "weight": "2"}, "'2' is not a number"),
        ({"features": [float("nan")]}, "Query 2: .*JSON"),
        ({"features": [1.0], "label": "3"}, "'str' object cannot be interpreted as an integer"),
        ({"text": "one", "time": datetime(2026, 10, 5)}, "expected a time with its offset from UTC"),
        ({"text": "one", "query_id": "first"}, "Queries 1 and 2 have the same query_id 'first'"),
        (7, "is 7, expected a text, a mapping or a ModelUse"),
    ],
)
def test_a_use_that_cannot_be_written_is_named(use: Mapping[str, object], message: str) -> None:
    with pytest.raises(TributeError, match=message):
        written([ModelUse("text", query_id="first"), use], "key")
