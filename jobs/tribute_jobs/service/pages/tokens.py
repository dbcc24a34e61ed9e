"""The words of what the model was asked, each coloured by the source that shaped it most.

The lake has them where `readout.tokens` asked for them; else they are measured on request.
"""

from collections.abc import Iterator
from math import fsum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tribute.config import Project
from tribute.corpus.encoding import text_format, text_pieces
from tribute.corpus.verbatim import joined_windows
from tribute.errors import TributeError
from tribute.serving import ServiceEngine
from tribute.serving.schemas import AttributionAnswer, AttributionRequest, Query
from tribute_jobs.inquiries.examples import batch_query
from tribute_jobs.service.pages.wording import nats
from tribute_jobs.service.views.query import QueryView
from tribute_storage import LakeError, open_tables

SOURCES = 6
"""Sources that have a colour of their own."""
STRENGTHS = 3
_TOKENS = """
select source_id, position, avg(influence_nats::double order by replicate) from influence_tokens
where run_id = $run and query_id = $query group by all order by all
"""


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
    note: str = ""
    """Where they are from."""


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
    nats_S = [each.token_nats or [] for each in found.sources]
    return _coloured_words(found.tokens, names, nats_S, "Measured anew for this page.")


def recorded_tokens(project: Project, view: QueryView) -> ColouredTokens | None:
    """The influences on tokens that the lake has of a use; None: it has none, or the text is not to be had."""
    with open_tables(project.lake_root, "influence_tokens") as connection:
        asked = {"run": view.attribute_run, "query": view.query_id}
        found = connection.execute(_TOKENS, asked).fetchall()
    read = _as_read(project, view) if found else None
    if read is None or max(position for _, position, _ in found) >= len(read.piece_T):
        return None
    sums: dict[str, list[float]] = {}
    for source_id, position, nats_of in found:
        sums.setdefault(source_id, [0.0] * len(read.pieces))[read.piece_T[position]] += nats_of
    names = sorted(sums, key=lambda name: -abs(fsum(sums[name])))[:SOURCES]
    return _coloured_words(read.pieces, names, [sums[name] for name in names], "As the lake has it.")


class _ReadText(NamedTuple):
    """The pieces of a text, and the piece of each of its tokens, prompt included, [T]."""

    pieces: list[str]
    piece_T: NDArray[np.int64]


def _as_read(project: Project, view: QueryView) -> _ReadText | None:
    """The text of a use, kept or of a batch that is where it was and as it was; None: neither."""
    form = text_format(project.corpus)
    if form is None:
        return None
    if view.content:
        prompt = view.prompt or ""
        located = form.encoder.locate(prompt + view.content)
        return _ReadText(*text_pieces(prompt + view.content, located, len(prompt)))
    try:
        query = batch_query(project, view.period, view.query_id)
    except (TributeError, LakeError):
        return None
    if query.digests != (view.content_sha256,) or "tokens" not in query.rows:
        return None
    token_T = joined_windows(query.rows["tokens"])
    text = form.encoder.decode(token_T)
    located = form.encoder.locate(text)
    if not np.array_equal(located.token_T, token_T):
        return None  # its tokens do not come back from its text
    return _ReadText(*text_pieces(text, located))


def _coloured_words(tokens: list[str], names: list[str], nats_S: list[list[float]], note: str) -> ColouredTokens:
    words = list(_words(tokens))
    sums = [[fsum(nats_T[start:end]) for nats_T in nats_S] for start, end in words]
    largest = max((value for own in sums for value in own), default=0.0)
    coloured = [
        _coloured("".join(tokens[start:end]), values, names, largest)
        for (start, end), values in zip(words, sums, strict=True)
    ]
    return ColouredTokens(tuple(names), tuple(coloured), note=note)


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
