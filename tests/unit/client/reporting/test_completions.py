"""Completions read from requests and answers of every shape, in pieces of any size."""

import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tribute.client.reporting.completions import (
    CHAT,
    COMPLETIONS,
    MAX_BODY,
    AnswerReader,
    Completion,
    Unreadable,
    completions,
    known_prompt,
    read_request,
)


def read(path: str, request: dict, answer: dict) -> list[Completion]:
    reader = AnswerReader("application/json", "")
    reader.feed(json.dumps(answer).encode())
    reader.finish()
    return list(completions(path, request, reader))


@given(st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=6), st.data(), st.booleans())
def test_a_stream_reads_the_same_however_it_is_cut(words: list[str], data: st.DataObject, carriage: bool) -> None:
    end = b"\r\n" if carriage else b"\n"
    chunks = [{"id": "c1", "model": "m", "choices": [{"index": 0, "delta": {"content": each}}]} for each in words]
    lines = [b"data: " + json.dumps(chunk, ensure_ascii=False).encode() + end + end for chunk in chunks]
    body = b": a comment" + end + end + b"".join(lines) + b"data: [DONE]" + end + end
    cuts = sorted(data.draw(st.sets(st.integers(0, len(body)))))
    reader = AnswerReader("text/event-stream; charset=utf-8", "")
    for start, stop in zip([0, *cuts], [*cuts, len(body)], strict=True):
        reader.feed(body[start:stop])
    reader.finish()
    request = {"messages": [{"role": "user", "content": "Hello"}], "user": "u"}
    [one] = completions(f"/proxy{CHAT}", request, reader)
    assert (one.completion_id, one.text, one.user, one.model) == ("c1", "".join(words), "u", "m")
    assert known_prompt(one) + one.text == "Hello\n" + "".join(words)


def test_an_event_of_several_lines_is_one() -> None:
    reader = AnswerReader("text/event-stream", "")
    reader.feed(b'event: x\ndata: {"id": "c",\ndata: "choices": [{"text": "a"}]}\n\ndata: {"id": "c", "choi')
    reader.finish()
    assert reader.choices == {0: "a"}


def test_choices_belong_to_their_prompts() -> None:
    choices = [{"index": index, "text": f"t{index}"} for index in (3, 1, 0, 2)]
    found = read(COMPLETIONS, {"prompt": ["a", "b"], "n": 2}, {"id": "c", "choices": choices})
    assert [(each.completion_id, known_prompt(each) + each.text) for each in found] == [
        ("c", "at0"),
        ("c:1", "at1"),
        ("c:2", "bt2"),
        ("c:3", "bt3"),
    ]


def test_messages_of_parts_are_read_and_nothing_written_is_no_use() -> None:
    parts = [{"type": "text", "text": "Look"}, {"type": "image_url", "image_url": {"url": "x"}}]
    messages = [{"role": "system", "content": "Be short"}, {"role": "user", "content": parts}, {"role": "tool"}]
    answer = {"id": "c", "choices": [{"message": {"content": None}}, {"index": 1, "message": {"content": "Yes"}}]}
    [one] = read(CHAT, {"messages": messages, "n": 2}, answer)
    assert (one.completion_id, known_prompt(one) + one.text) == ("c:1", "Be short\nLook\nYes")


def test_an_echo_is_not_repeated() -> None:
    [one] = read(COMPLETIONS, {"prompt": "a", "echo": True}, {"id": "c", "choices": [{"text": "ab"}]})
    assert known_prompt(one) + one.text == "ab"


@pytest.mark.parametrize("prompt", [[1, 2], [[1], [2]], None, 7])
def test_a_prompt_that_is_not_text_needs_a_function(prompt: object) -> None:
    [one] = read(COMPLETIONS, {"prompt": prompt}, {"id": "c", "choices": [{"text": "ab"}]})
    with pytest.raises(Unreadable, match="the prompt is not text"):
        known_prompt(one)


def test_a_compressed_answer_is_read() -> None:
    reader = AnswerReader("application/json", "gzip")
    body = gzip.compress(json.dumps({"id": "c", "choices": [{"text": "ab"}]}).encode())
    reader.feed(body[:10])
    reader.feed(body[10:])
    reader.finish()
    assert reader.choices == {0: "ab"}


@pytest.mark.parametrize(
    ("media_type", "encoding", "body", "message"),
    [
        ("application/json", "", b"{", "not JSON"),
        ("application/json", "", b"[]", "not an object"),
        ("application/json", "", b" " * (MAX_BODY + 1), "longer than"),
        ("application/json", "gzip", gzip.compress(b" " * (MAX_BODY + 1)), "longer than"),
        ("application/json", "gzip", b"no gzip", "cannot be decompressed"),
        ("application/json", "br", b"{}", "encoding is br"),
        ("text/event-stream", "", b"data: {\n\n", "not JSON"),
    ],
)
def test_what_cannot_be_read_says_why(media_type: str, encoding: str, body: bytes, message: str) -> None:
    reader = AnswerReader(media_type, encoding)
    reader.feed(body)
    with pytest.raises(Unreadable, match=message):
        reader.finish()


def test_an_answer_without_an_id_is_no_use() -> None:
    with pytest.raises(Unreadable, match="has no id"):
        read(COMPLETIONS, {"prompt": "a"}, {"choices": [{"text": "ab"}]})


@pytest.mark.parametrize("body", [b"", b"\xff", b"[1]", b"[" * 100_000])
def test_a_request_that_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(Unreadable, match="the request is not"):
        read_request(body)
