"""Letters as texts are compared by: without case, marks, punctuation and characters without width.

Each character becomes its normal letters whatever stands beside it, so a text does, character by character.
"""

import re
import unicodedata
from collections.abc import Sequence

from tribute.ids import LOOK_ALIKE_LETTERS

END = 0xFF
"""Stands between documents in raw bytes: UTF-8 has no such byte."""
SPACE, DOCUMENT_SPACE = 0x20, 0x0A
"""Between words, and between documents, in a normal text."""
IDEOGRAPHS = (0x3040, 0x3100), (0x3400, 0xA000), (0x20000, 0x40000)
"""Kana, Chinese characters, and the rarer of these, from and to."""


def is_ideograph(character: str) -> bool:
    """Whether a letter is one of Chinese or Japanese writing, which sets no spaces."""
    return any(first <= ord(character) < after for first, after in IDEOGRAPHS)


def letters_of(character: str) -> str:
    """A character in normal form: its letters and digits, none for marks and punctuation."""
    folded = unicodedata.normalize("NFKD", character).casefold()
    kept = (each for each in unicodedata.normalize("NFKD", folded) if unicodedata.category(each)[0] in "LN")
    return "".join(LOOK_ALIKE_LETTERS.get(each, each) for each in kept)


class _Normal(dict[int, str]):
    """What each character becomes, by its code: letters, an ideograph between spaces, or a space."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        letters = (f" {each} " if is_ideograph(each) else each for each in letters_of(character))
        self[code] = " " if character.isspace() else "".join(letters)
        return self[code]


NORMAL = _Normal()
_NOT_ASCII = re.compile(r"[^\x00-\x7f]+")
_ASCII = {code: NORMAL[code] for code in range(128)}
_BECOMES = bytes([*(ord(_ASCII[code] or "\0") for code in range(128)), *range(128, END), DOCUMENT_SPACE])
_DROPPED = bytes(code for code, letters in _ASCII.items() if not letters)


def normal_bytes(texts: Sequence[str]) -> bytes:
    """Texts in normal form, as UTF-8: letters, spaces between words, `DOCUMENT_SPACE` between texts."""
    raw = bytes([END]).join([(text if text.isascii() else _without_marks(text)).encode() for text in texts])
    return raw.translate(_BECOMES, _DROPPED)


def _without_marks(text: str) -> str:
    """A text whose characters beyond ASCII are in normal form."""
    return _NOT_ASCII.sub(lambda found: found[0].translate(NORMAL), text)
