"""What an answer has in common with the text of each source: passages, their documents, their length."""

from collections.abc import Collection
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tribute.corpus.crediting.normal_words import spans
from tribute.corpus.verbatim.corpus import LEAST_WORDS, CorpusIndex
from tribute.corpus.verbatim.longest import SharedRun, edited_runs, longest, shared_runs
from tribute.corpus.verbatim.stored import Tokens, document_text, values_of, word_hashes
from tribute.errors import ConfigError

EDIT_WORDS = 3
"""Words that an edit adds, leaves out or replaces at most."""
BROKEN = "\ufffd"
"""What a character decodes to of which a run has only some bytes."""


class SharedPassage(NamedTuple):
    """A passage of a source that an answer has too.

    Attributes:
        source_id: the source.
        kind: exact: the same tokens; near: the same words but for case, marks, punctuation, spaces, and at most
            one edit of at most `EDIT_WORDS` words.
        document: number of the document among those that the source was trained on, from 0.
        position: its first character in the document.
        text: the passage, as the source has it.
        begin: its first character in the answer.
        end: the one after its last character in the answer.
        matched: tokens that are the same; of a near one, words.
        places: how many places of the source have it; this is the first. 1 for one with an edit.
    """

    source_id: str
    kind: Literal["exact", "near"]
    document: int
    position: int
    text: str
    begin: int
    end: int
    matched: int
    places: int

    @property
    def characters(self) -> int:
        """Length of the passage."""
        return len(self.text)


def shared_passages(
    index: CorpusIndex,
    tokens: Tokens,
    answer: NDArray[np.integer],
    source_ids: Collection[str] | None = None,
    least: int | None = None,
) -> list[SharedPassage]:
    """The passages that an answer shares with sources, exact ones before near ones, the longest first.

    An exact passage is a maximal run of at least `least` tokens that lies in no other one of its source. A near
    one has at least twice `LEAST_WORDS` words that are the same, and lies in no exact one.

    Args:
        answer: its tokens.
        source_ids: the sources that may be named; None: all.
        least: tokens, and characters of a near passage; None: as many tokens as the index was made for.

    Raises:
        ConfigError: `least` is below what the index was made for.
    """
    if least is not None and least < index.tokens.record.least:
        raise ConfigError(
            f"Runs of {least} tokens are too short: the index of the corpus finds those from "
            f"{index.tokens.record.least} on. Ask for at least as many"
        )
    named = set(index.source_ids if source_ids is None else source_ids)
    numbers = {number for number, source_id in enumerate(index.source_ids) if source_id in named}
    text = tokens.decode(answer)
    exact_runs, near_runs = _exact_runs(index, tokens, answer, least), _near_runs(index, text)
    exact = [_exact(index, tokens, answer, run) for run in exact_runs if run.source in numbers]
    near = [_near(index, tokens, text, run) for run in near_runs if run.source in numbers]
    new = [each for each in near if not any(_lies_within(each, other) for other in exact)]
    return exact + [each for each in new if each.characters >= (least or 0)]


def _exact_runs(
    index: CorpusIndex, tokens: Tokens, answer: NDArray[np.integer], least: int | None
) -> list[SharedRun]:
    return longest(shared_runs(index.tokens.runs(values_of(answer, tokens.separator), least)))


def _near_runs(index: CorpusIndex, text: str) -> list[SharedRun]:
    found = index.words.runs(word_hashes(text))
    whole = [run for run in shared_runs(found) if run.matched >= 2 * LEAST_WORDS]
    return longest(whole + edited_runs(found, index.words.breaks, LEAST_WORDS, EDIT_WORDS))


def _exact(index: CorpusIndex, tokens: Tokens, answer: NDArray[np.integer], run: SharedRun) -> SharedPassage:
    document = index.tokens.document_of(run.place)
    first, _ = index.tokens.span_of(document)
    before, within = (
        tokens.decode(index.tokens.values[begin:end].astype(np.int64) - 1)
        for begin, end in ((first, run.place), (run.place, run.after))
    )
    within, begin = within.strip(BROKEN), len(tokens.decode(answer[: run.begin]))
    return SharedPassage(
        index.source_ids[run.source],
        "exact",
        document - index.tokens.first_document(run.source),
        len(before),
        within,
        begin,
        begin + len(within),
        run.matched,
        run.places,
    )


def _near(index: CorpusIndex, tokens: Tokens, text: str, run: SharedRun) -> SharedPassage:
    document, place_w2 = index.words.document_of(run.place), spans(text)
    begin, end = int(index.span_V[run.place]["begin"]), int(index.span_V[run.after - 1]["end"])
    return SharedPassage(
        index.source_ids[run.source],
        "near",
        document - index.words.first_document(run.source),
        begin,
        document_text(index.tokens, tokens, document)[begin:end],
        place_w2[run.begin][0],
        place_w2[run.end - 1][1],
        run.matched,
        run.places,
    )


def _lies_within(near: SharedPassage, exact: SharedPassage) -> bool:
    return near.source_id == exact.source_id and exact.begin <= near.begin and near.end <= exact.end
