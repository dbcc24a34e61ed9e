"""Tokens as people read them: characters, each with the influence on its bytes.

Legend: T positions of a text's bytes after the first, C characters, S sources.
"""

import numpy as np
from numpy.typing import NDArray


def by_character(text: str, nats_TS: NDArray[np.float64]) -> tuple[list[str], NDArray[np.float64]]:
    """The characters of a text, and influences on them, [C, S] nats: sums over their bytes.

    The first byte is not predicted, so nothing has an influence on it.
    """
    character_T = np.repeat(np.arange(len(text)), [len(each.encode()) for each in text])[1:]
    nats_CS = np.zeros((len(text), nats_TS.shape[1]))
    np.add.at(nats_CS, character_T, nats_TS[: len(character_T)])
    return list(text), nats_CS
