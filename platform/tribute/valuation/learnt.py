"""How much of each source's text or examples the model can have learnt from: its tokens without padding.

The token count says what a source is worth before anything was measured. It is the prior of all values, and what
pays where nothing else can. A count of all tokens would pay for padding, so a source's tokens are scaled by two
parts, each compared with what is usual for the other sources:

1. of its words, those that are new to it and in an order that makes sense (`corpus.eligibility`; text only);
2. of the loss on its examples, what the training took away.

Legend: S sources, R replicates.
"""

import numpy as np
from numpy.typing import NDArray

from tribute.corpus.eligibility import part_of_usual

Array = NDArray[np.float64]
MARGIN = 0.1
"""Part of a source's words that counts whatever they are, so that chance decides little where all text is odd."""
LEAST = 0.1
"""Part of its tokens that every source keeps: a guess before measuring, and groups are divided by tokens."""


def learnt_tokens(tokens_S: Array, eligible_S: Array | None = None, fall_RS: Array | None = None) -> Array:
    """Tokens times the parts of what is usual, [S]; never more than the tokens, which most sources have in full.

    t_s max(.1, min(1, (.1 + e_s / t_s) / q) min(1, f_s / q')); q and q': lower quartiles of the other sources.

    Args:
        eligible_S: tokens that count as content, [S]; None, or NaN for a source: not known.
        fall_RS: mean training loss of each source's examples before the training less that after it, [R, S] nats;
            None: not known.
    """
    part_S = np.ones(len(tokens_S))
    if eligible_S is not None and np.isfinite(eligible_S).all():
        part_S = part_S * part_of_usual(MARGIN + eligible_S / np.maximum(tokens_S, 1))
    if fall_RS is not None:
        part_S = part_S * part_of_usual(np.clip(fall_RS, 0, None).mean(0))
    return np.asarray(tokens_S * np.maximum(part_S, LEAST), dtype=np.float64)
