"""The words of what the model was asked, each coloured by the source that shaped it most; measured on request."""

from collections.abc import Iterator
from math import fsum
from typing import NamedTuple

from tribute.errors import TributeError
from tribute.serving import ServiceEngine
from tribute.serving.schemas import AttributionAnswer, AttributionRequest, Query
from tribute_jobs.service.pages.wording import nats
from tribute_storage import LakeError

SOURCES = 6
"""Sources that have a colour of their own."""
STRENGTHS = 3


class ColouredToken(NamedTuple):
    """A word: its tokens, summed. `colour`: the number of its source; `strength`: 1 to 3, or 0 for no source."""

    text: str
    source: str
    influence: str
    colour: int
    strength: int


class ColouredTokens(NamedTuple):
    """The tokens of an answer; or, in `problem`, why they are not there."""

    sources: tuple[str, ...] = ()
    tokens: tuple[ColouredToken, ...] = ()
    problem: str = ""


async def coloured_tokens(engine: ServiceEngine, text: str, prompt: str | None) -> ColouredTokens:
    """Read out a text anew, token by token, after its prompt; nothing of it is recorded."""
    asked = AttributionRequest(
        queries=[Query(prompt=prompt, text=text)], top_k=SOURCES, per_token=True, record=False
    )
    try:
        answer = AttributionAnswer.model_validate_json(await engine.attribute(asked))
    except (TributeError, LakeError) as error:
        return ColouredTokens(problem=str(error))
    found = answer.queries[0]
    if found.tokens is None:
        return ColouredTokens(problem="The model of this service has no tokens.")
    names = [each.source_id or "" for each in found.sources]
    words = list(_words(found.tokens))
    sums = [[fsum((each.token_nats or [])[start:end]) for each in found.sources] for start, end in words]
    largest = max((value for own in sums for value in own), default=0.0)
    tokens = [
        _coloured("".join(found.tokens[start:end]), values, names, largest)
        for (start, end), values in zip(words, sums, strict=True)
    ]
    return ColouredTokens(tuple(names), tuple(tokens))


def _words(tokens: list[str]) -> Iterator[tuple[int, int]]:
    """Where words begin and end: tokens up to a space, with the spaces after them."""
    start = 0
    for place in range(1, len(tokens)):
        if tokens[place - 1][-1:].isspace() and not tokens[place][:1].isspace():
            yield start, place
            start = place
    if tokens:
        yield start, len(tokens)


def _coloured(text: str, values: list[float], names: list[str], largest: float) -> ColouredToken:
    """The source that helped a word most; none where every source made it less likely."""
    best = max(range(len(values)), key=values.__getitem__, default=None)
    if best is None or values[best] <= 0:
        return ColouredToken(text, "", "", 0, 0)
    strength = min(STRENGTHS, 1 + int(STRENGTHS * values[best] / largest))
    return ColouredToken(text, names[best], nats(values[best]), best, strength)
