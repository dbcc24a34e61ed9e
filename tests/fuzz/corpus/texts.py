"""Texts of drawn words, files that hold them, and ways to disguise a copy."""

import codecs
import json
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.fuzz.chance import Chance

LATIN = "abcdefghijklmnopqrstuvwxyzéüñ"
IDEOGRAPHS = [chr(code) for code in range(0x4E00, 0x4E00 + 900)]
Rows = list[dict[str, Any]]


def prose(chance: Chance, size: int) -> str:
    """About so many bytes of words that no other text has, in sentences and paragraphs."""
    words: list[str] = []
    while sum(map(len, words)) + len(words) < size:
        letters = chance.numbers.choice(list(LATIN), size=chance.whole(4, 10))
        word = "".join(letters)
        if len(words) % 9 == 0:
            word = word.capitalize()
        words.append(word + (chance.of([". ", ".\n", ".\n\n", "! "])[:-1] if len(words) % 9 == 8 else ""))
    return " ".join(words).strip()


def ideographs(chance: Chance, size: int) -> str:
    """About so many bytes of sentences without spaces."""
    drawn = chance.numbers.choice(IDEOGRAPHS, size=max(size // 3, 8)).tolist()
    return "".join(letter + ("。" if place % 17 == 16 else "") for place, letter in enumerate(drawn))


def written(chance: Chance, size: int) -> str:
    """A text in one of two scripts."""
    return (ideographs if chance.happens(0.2) else prose)(chance, size)


def _each_word(change: Callable[[int, str], str]) -> Callable[[str], str]:
    return lambda text: " ".join(change(place, word) for place, word in enumerate(text.split()))


DISGUISES: dict[str, Callable[[str], str]] = {
    "as it is": lambda text: text,
    "in capitals": str.upper,
    "swapped case": str.swapcase,
    "decomposed": lambda text: unicodedata.normalize("NFD", text),
    "without accents": lambda text: "".join(
        each for each in unicodedata.normalize("NFD", text) if not unicodedata.combining(each)
    ),
    "full-width": lambda text: text.translate({ord(each): ord(each) + 0xFEE0 for each in LATIN if each.isascii()}),
    "zero-width spaces": lambda text: "\u200b".join(text),
    "soft hyphens": _each_word(lambda _, word: f"{word[:2]}\u00ad{word[2:]}"),
    "combining marks": lambda text: "".join(each + "\u0323" if each.isalpha() else each for each in text),
    "commas": _each_word(lambda place, word: word + "," * (place % 4 == 0)),
    "quotes": _each_word(lambda place, word: f"“{word}”" if place % 2 else word),
    "markdown": _each_word(lambda place, word: f"**{word}**" if place % 3 else word),
    "underscores": lambda text: text.replace(" ", "_"),
    "a line per word": lambda text: text.replace(" ", "\n"),
    "double spaces": lambda text: text.replace(" ", "  "),
    "without punctuation": lambda text: "".join(each for each in text if each not in ".。!"),
    "letters of other scripts": lambda text: text.translate(
        str.maketrans("aceopxyABCEHKMOPTX", "асеорхуАВСЕНКМОРТХ")
    ),
    "parts in another order": lambda text: f"{text[len(text) // 2 :]} {text[: len(text) // 2]}",
    "a word in twelve replaced": _each_word(lambda place, word: "other" if place % 12 == 11 else word),
}


def letters(text: str) -> int:
    """Letters and digits of a text, whatever its disguise."""
    return sum(each.isalnum() for each in unicodedata.normalize("NFKC", text))


def json_lines(chance: Chance, rows: Rows) -> bytes:
    """Rows as JSON, in one of the ways that programs write it."""
    plain = chance.happens(0.5)
    lines = [json.dumps(row, ensure_ascii=plain, sort_keys=chance.happens(0.2)) for row in rows]
    if chance.happens(0.2):
        lines.insert(chance.whole(0, len(lines)), "")
    text = chance.of(["\n", "\r\n"]).join(lines) + chance.of(["", "\n"])
    return encoded(chance, text)


def encoded(chance: Chance, text: str) -> bytes:
    """UTF-8 with or without its mark, or UTF-16 with it."""
    form = chance.mixed([(6, "utf-8"), (1, "utf-8-sig"), (1, "utf-16-le"), (1, "utf-16-be")])
    marks = {"utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}
    return marks.get(form, b"") + text.encode(form)


def parquet(path: Path, chance: Chance, rows: Rows) -> None:
    """Rows as Parquet, in one of the types that programs write text as."""
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    kinds = [pa.string(), pa.large_string(), pa.binary(), pa.dictionary(pa.int32(), pa.string())]
    arrays = {}
    for name, values in columns.items():
        is_text = all(isinstance(value, str) for value in values)
        if is_text:
            kind = chance.of(kinds)
            arrays[name] = pa.array([each.encode() if kind == pa.binary() else each for each in values]).cast(kind)
        else:
            arrays[name] = pa.array(values)
    pq.write_table(pa.table(arrays), path, row_group_size=chance.whole(1, 50))
