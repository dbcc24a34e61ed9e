"""How a model was trained without sources, and so what a value means: the words for people, in one place."""

from typing import Literal, NamedTuple

Repetition = Literal["retrained", "replayed", "continued"]
"""How a model is trained without sources: anew under any seed, as recorded, or further from a checkpoint."""


class RepetitionWords(NamedTuple):
    """Phrases about models that were trained without sources, each to be put into a sentence.

    - ``without``: the other world that a value compares with, of one source (`it`);
    - ``trainings``: trainings without sources, for those who run them;
    - ``real``: the same, for those who are paid by them;
    - ``meaning``: what else one has to know about a value, in sentences; empty where `without` says it all.
    """

    without: str
    trainings: str
    real: str
    meaning: str


_UNSAID = RepetitionWords("without it", "trainings", "real trainings", "")
_WORDS: dict[Repetition, RepetitionWords] = {
    "retrained": RepetitionWords(
        "had the model been trained without it", "retrains", "real trainings of the model", ""
    ),
    "replayed": RepetitionWords(
        "had the model's recorded training been replayed without it",
        "replays of the recordings",
        "replays of the model's recorded training",
        "The model's training was recorded: it is replayed with and without a source.",
    ),
    "continued": RepetitionWords(
        "had the model been trained further from its checkpoint without it",
        "further trainings of the checkpoint",
        "further trainings of the model's checkpoint",
        "Only a checkpoint of the model is known: it is trained further, with and without a source. Values count "
        "from the checkpoint on; what a source did before it is not taken out.",
    ),
}


def repetition_words(repetition: Repetition | None) -> RepetitionWords:
    """The words for a kind of training; None: a statement of an earlier release, which does not say."""
    return _UNSAID if repetition is None else _WORDS[repetition]
