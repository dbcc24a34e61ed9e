"""Completions as an OpenAI-style endpoint asks for and answers them: JSON, or a stream of events."""

import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

CHAT = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"
MAX_BODY = 16 << 20
"""Bytes of a request or of an answer that are read."""
_INFLATED = {"gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}


class Unreadable(ValueError):
    """A request or an answer that cannot be read as a completion; says why."""


@dataclass(frozen=True)
class Completion:
    """A completion that a user received, whole or until the connection broke.

    Attributes:
        completion_id: of the answer; with the number of the choice, beyond the first.
        prompt: the prompt, or the text of all messages, a line each. None: it is not text, such as ids of tokens.
        text: what the model wrote.
        user: as the request names it.
        request: its JSON.
    """

    completion_id: str
    prompt: str | None
    text: str
    user: str | None = None
    model: str | None = None
    request: Mapping[str, object] = field(default_factory=dict, repr=False)


def known_prompt(completion: Completion) -> str:
    """The prompt of a completion.

    Raises:
        Unreadable: the prompt is not text.
    """
    if completion.prompt is None:
        raise Unreadable("the prompt is not text. Give UsageReporter a function prompt=... that reads it")
    return completion.prompt


class AnswerReader:
    """Reads an answer while it is sent: a JSON document, or server-sent events in pieces of any size."""

    def __init__(self, media_type: str, encoding: str) -> None:
        self.response_id: str | None = None
        self.model: str | None = None
        self.choices: dict[int, str] = {}
        self._is_stream = media_type.partition(";")[0].strip().lower() == "text/event-stream"
        self._problem = "" if encoding in (*_INFLATED, "", "identity") else f"its encoding is {encoding}"
        self._inflating = zlib.decompressobj(_INFLATED[encoding]) if encoding in _INFLATED else None
        self._size, self._tail, self._event = 0, b"", list[bytes]()

    def feed(self, chunk: bytes) -> None:
        """The next bytes of the body."""
        if self._problem:
            return
        try:
            text = self._inflating.decompress(chunk, MAX_BODY + 1) if self._inflating else chunk
        except zlib.error as error:
            self._problem = f"it cannot be decompressed: {error}"
            return
        self._size += len(text)
        if self._size > MAX_BODY:
            self._problem, self._tail = f"it is longer than {MAX_BODY:,} bytes", b""
            return
        self._tail += text
        if self._is_stream:
            self._read_lines()

    def finish(self) -> None:
        """The body is over.

        Raises:
            Unreadable: it is no completion.
        """
        if not self._is_stream and not self._problem:
            self._take(self._tail)
        if self._problem:
            raise Unreadable(f"the answer cannot be read: {self._problem}")

    def _read_lines(self) -> None:
        *lines, self._tail = self._tail.split(b"\n")
        for line in lines:
            line = line.removesuffix(b"\r")
            if line.startswith(b"data:"):
                self._event.append(line[5:].removeprefix(b" "))
            elif not line and self._event:
                event, self._event = b"\n".join(self._event), []
                if event.strip() != b"[DONE]":
                    self._take(event)

    def _take(self, text: bytes) -> None:
        try:
            answer = json.loads(text)
        except (ValueError, RecursionError) as error:
            self._problem = f"it is not JSON: {error}"
            return
        if not isinstance(answer, dict):
            self._problem = "it is not an object of JSON"
            return
        self.response_id = self.response_id or _text(answer.get("id"))
        self.model = self.model or _text(answer.get("model"))
        for choice in _objects(answer.get("choices")):
            index = choice.get("index", 0)
            if isinstance(index, int):
                self.choices[index] = self.choices.get(index, "") + _written(choice)


def completions(path: str, request: Mapping[str, object], answer: AnswerReader) -> Iterator[Completion]:
    """The completions of an answer, a choice each. A choice in which nothing was written is left out.

    Raises:
        Unreadable: the answer has no id, so that a use could not be told from its repetition.
    """
    if answer.choices and answer.response_id is None:
        raise Unreadable("the answer has no id")
    prompts = [_messages(request)] if path.endswith(CHAT) else _prompts(request.get("prompt"))
    number = request.get("n")
    each = number if isinstance(number, int) and number > 0 else 1
    for index, text in sorted(answer.choices.items()):
        if text:
            name = f"{answer.response_id}:{index}" if index else str(answer.response_id)
            prompt = prompts[min(index // each, len(prompts) - 1)]
            prompt = "" if request.get("echo") is True and not path.endswith(CHAT) else prompt
            yield Completion(name, prompt, text, _text(request.get("user")), answer.model, request)


def read_request(body: bytes) -> Mapping[str, object]:
    """The JSON of a request.

    Raises:
        Unreadable: it is no object of JSON.
    """
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"the request is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise Unreadable("the request is not an object of JSON")
    return found


def _prompts(prompt: object) -> Sequence[str | None]:
    if isinstance(prompt, list) and prompt and all(isinstance(each, str | list) for each in prompt):
        return [_text(each) for each in prompt]
    return [_text(prompt)]


def _messages(request: Mapping[str, object]) -> str:
    return "".join(
        f"{text}\n" for each in _objects(request.get("messages")) if (text := _content(each.get("content")))
    )


def _written(choice: Mapping[str, object]) -> str:
    for name in ("message", "delta"):
        part = choice.get(name)
        if isinstance(part, dict):
            return _content(part.get("content"))
    return _text(choice.get("text")) or ""


def _content(content: object) -> str:
    """Text of a message: a string, or parts of which some are text."""
    if isinstance(content, str):
        return content
    return "".join(_text(part.get("text")) or "" for part in _objects(content))


def _objects(value: object) -> list[dict[str, object]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
