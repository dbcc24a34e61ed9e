"""Ids as people write them: what is one, which two look alike, and how messages show them.

An id is any printable text. It is never a path: file names come from `tribute_storage.file_names`.
"""

import unicodedata
from collections.abc import Iterable, Sized

LONGEST_ID = 1024
"""Characters, after normalisation."""
SHOWN = 80
"""Characters of anybody's text that a message may show."""

_UNPRINTABLE = frozenset(("Cc", "Cs", "Co", "Zl", "Zp"))
_DIRECTIONS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_FILLERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
_DASHES, _QUOTES = (
    "\u2010\u2011\u2012\u2013\u2014\u2015\u2043\u2212\ufe58",
    "\u2018\u2019\u201b\u2032\u02b9\u02bc`\u00b4",
)
_GLYPHS = {
    "АВСЕНІЈКМОРЅТХҮЅԌԚԜ": "ABCEHIJKMOPSTXYSGQW",  # Cyrillic
    "асеіјорѕухһԁԛԝӏѵгᴦүɡ": "aceijopsyxhdqwlvrryg",
    "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧ": "ABEZHIKMNOPTYX",  # Greek
    "αγικνορυϲϳ": "ayikvopucj",
    "ՕՍօսհոցքյ": "OUouhngpj",  # Armenian
    "ᎪᏴᏟᎠᎬᏀᎻᎫᏦᏞᎷᏢᎡᏚᎢᏙᎳᏃ": "ABCDEGHJKLMPRSTVWZ",  # Cherokee
    "ıɑɩƖǀ": "iailI",  # Latin beyond ASCII
}
LOOK_ALIKE_LETTERS = {
    one.lower(): other.lower() for ones, others in _GLYPHS.items() for one, other in zip(ones, others, strict=True)
}
"""Small letters of other scripts, and the Latin one that they, or their capitals, look like."""
_ALIKE = {ord(one): other for ones, others in _GLYPHS.items() for one, other in zip(ones, others, strict=True)}
_ALIKE |= dict.fromkeys(map(ord, _DASHES), "-") | dict.fromkeys(map(ord, _QUOTES), "'")


def checked_id(value: object) -> str:
    """An id in Unicode's form NFC, without the spaces around it.

    Raises:
        ValueError: not text, empty, nothing to see, longer than `LONGEST_ID`, or with control or direction
            characters. The message goes on after the name of the field.
    """
    if not isinstance(value, str):
        raise ValueError(f"is {excerpt(value)}, expected text")
    text = nfc(value)
    if len(text) > LONGEST_ID:
        raise ValueError(f"is {excerpt(text)}, longer than {LONGEST_ID:,} characters. Shorten it")
    for character in text:
        if (
            unicodedata.category(character) in _UNPRINTABLE
            or character in _DIRECTIONS
            or _is_noncharacter(character)
        ):
            name = unicodedata.name(
                character, "half a character" if "\ud800" <= character <= "\udfff" else "control"
            )
            raise ValueError(f"is {excerpt(text)}, which holds U+{ord(character):04X} ({name.lower()}). Remove it")
    if not is_visible(text):
        raise ValueError(f"is {excerpt(text)}, expected non-empty text")
    return text


def nfc(text: str) -> str:
    """A text as an id is written: in Unicode's form NFC, without the spaces around it."""
    return unicodedata.normalize("NFC", text.strip())


def look_alikes(ids: Iterable[str]) -> list[tuple[str, str]]:
    """Pairs of different ids that a reader takes for one another, each id with the first that it resembles.

    They differ in case, compatibility forms, spaces, dashes, quotes, characters without width, or letters of
    another script that look the same. Letters and digits of ASCII differ in case only: `l` is not `1`.
    """
    first: dict[tuple[str, str], str] = {}
    pairs = []
    for name in dict.fromkeys(ids):
        keys = [("case", _folded(name)), ("glyphs", _folded(_compatible(name).translate(_ALIKE)))]
        resembled = [first.setdefault(key, name) for key in keys]
        pairs += list(dict.fromkeys((other, name) for other in resembled if other != name))[:1]
    return pairs


def excerpt(value: object) -> str:
    """A value for a message: at most `SHOWN` characters of it, and how much was left out."""
    shown = repr(value[:SHOWN] if isinstance(value, str | bytes) else value)
    if len(shown) <= SHOWN and not (isinstance(value, str | bytes) and len(value) > SHOWN):
        return shown
    size = f", {len(value):,} long" if isinstance(value, Sized) else ""
    return f"{shown[:SHOWN]}… ({type(value).__name__}{size})"


def ascii_excerpt(text: str) -> str:
    """A text for a message in ASCII, so that a reader sees what differs from one that looks alike."""
    return ascii(text) if len(ascii(text)) <= SHOWN else f"{ascii(text)[: SHOWN - 1]}…"


def short(name: str, most: int = SHOWN) -> str:
    """An id for a message, cut if it is long."""
    return name if len(name) <= most else f"{name[: most - 1]}…"


def listed(names: Iterable[str], most: int = 5, characters: int = SHOWN // 2) -> str:
    """Names for a message: a few of them, each cut, and how many more there are."""
    every = list(names)
    shown = ", ".join(short(name, characters) for name in every[:most])
    return f"{shown} and {len(every) - most:,} more" if len(every) > most else shown or "none"


def short_words(text: str) -> str:
    """A library's message about somebody's text, with every long word cut."""
    return " ".join(map(short, text.split()))


def _compatible(name: str) -> str:
    """In compatible forms, without characters that show nothing."""
    if name.isascii():
        return name
    text = unicodedata.normalize("NFKC", name)
    return "".join(each for each in text if not _is_ignored(each))


def _folded(name: str) -> str:
    if name.isascii():
        return " ".join(name.lower().split())
    return " ".join(unicodedata.normalize("NFKC", _compatible(name).casefold()).split())


def is_visible(text: str) -> bool:
    """Whether a text shows anything: more than spaces and characters without width."""
    return any(not character.isspace() and not _is_ignored(character) for character in text)


def _is_ignored(character: str) -> bool:
    selector = "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef"
    return unicodedata.category(character) == "Cf" or character in _FILLERS or selector


def _is_noncharacter(character: str) -> bool:
    return ord(character) & 0xFFFE == 0xFFFE or 0xFDD0 <= ord(character) <= 0xFDEF
