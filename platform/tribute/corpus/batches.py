"""From text to windows of bytes.

A window of W bytes trains W - 1 predictions: each byte from those before it. Windows overlap by one byte, so
that every byte but the first is predicted exactly once.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

PADDING = -1
BETWEEN_DOCUMENTS = b"\0"


def text_windows(texts: Sequence[str], window: int) -> NDArray[np.int16]:
    """A source's training windows, [n, window]: its documents joined by a NUL byte, the last part left out."""
    stream = np.frombuffer(BETWEEN_DOCUMENTS.join(text.encode() for text in texts), np.uint8)
    count = max((len(stream) - 1) // (window - 1), 0)
    return stream[_positions(count, window)].astype(np.int16)


def encode_text(text: str, window: int) -> NDArray[np.int16]:
    """A query of any length, [rows, window]: the last row is padded with -1."""
    stream = np.frombuffer(text.encode(), np.uint8).astype(np.int16)
    count = max(-(-(len(stream) - 1) // (window - 1)), 1)
    padded = np.full(count * (window - 1) + 1, PADDING, dtype=np.int16)
    padded[: len(stream)] = stream
    return padded[_positions(count, window)]


def _positions(count: int, window: int) -> NDArray[np.int64]:
    return np.arange(count)[:, None] * (window - 1) + np.arange(window)
