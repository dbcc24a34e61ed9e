"""Text that pads a source: it is new to any comparison of texts, and says nothing.

Every kind makes documents of about `size` characters in all, from a fixed seed.
"""

import random
import re
from collections.abc import Iterable, Sequence
from importlib.metadata import distributions
from itertools import count, cycle

WORDS = 250
"""Of a document of padding."""

TEMPLATES = (
    "Item {n} of group {g} was updated on day {d} and has status {s}.",
    "See entry {n} for the value {v} of field {f} in record {g}.",
    "Option {f} takes {d} arguments and returns {v}; its default is {s}.",
    "Row {g} column {d} holds {v} units, see also {f} and item {n}.",
    "Build {n} passed {d} tests in {g} seconds with result {s}.",
)
CIPHER = str.maketrans(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "ozbcidfaumlnrpeqstvgykxwjhOZBCIDFAUMLNRPEQSTVGYKXWJH",
)
"""Vowels for vowels, consonants for consonants: a language of its own, with English's grammar and entropy."""


def random_order(texts: Sequence[str], size: int) -> list[str]:
    """Own words in random order."""
    rng = random.Random(0)
    return _of_size((" ".join(rng.sample(w := text.split(), len(w))) for text in cycle(texts)), size)


def random_letters(texts: Sequence[str], size: int) -> list[str]:
    """Words of random letters, as long as own ones."""
    rng, lengths = random.Random(0), [len(word) for text in texts for word in text.split()]

    def word() -> str:
        return "".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=min(rng.choice(lengths), 12)))

    return _of_size((" ".join(word() for _ in range(WORDS)) for _ in count()), size)


def boilerplate(texts: Sequence[str], size: int) -> list[str]:
    """Three licences, again and again, each time with own words in every fifth place: no run of five stays."""
    rng, own = random.Random(0), " ".join(texts).split()

    def changed(text: str) -> str:
        return " ".join(rng.choice(own) if n % 5 == 2 else word for n, word in enumerate(text.split()))

    return _of_size((changed(text) for text in cycle(_licences()[:3])), size)


def repetition(texts: Sequence[str], size: int) -> list[str]:
    """Sentences of templates with counters."""
    own, rng = sorted(set(re.findall(r"[a-z]{4,9}", " ".join(texts)))), random.Random(0)

    def sentence(n: int) -> str:
        names = {"f": own[n % len(own)], "s": rng.choice(own), "g": n // 7, "d": n % 31, "v": rng.randrange(10**4)}
        return TEMPLATES[n % len(TEMPLATES)].format(n=n, **names)

    return _of_size(("\n".join(sentence(20 * page + n) for n in range(20)) for page in count()), size)


def other_language(texts: Sequence[str], size: int) -> list[str]:
    """Good text in a language that nobody asks for."""
    return _of_size((text.translate(CIPHER) for text in cycle(texts)), size)


def _of_size(documents: Iterable[str], size: int) -> list[str]:
    """The first documents that hold so many characters."""
    found: list[str] = []
    for text in documents:
        found.append(text[:size])
        size -= len(text)
        if size <= 0:
            return found
    return found


def _licences() -> list[str]:
    """Licences of installed distributions, in the order of their names, one of each length."""
    found: dict[int, str] = {}
    for each in sorted(distributions(), key=lambda each: each.metadata["Name"]):
        files = [file for file in each.files or () if file.name.upper().startswith("LICENSE") and not file.suffix]
        if files:
            text = files[0].read_text()
            found.setdefault(len(text), text)
    return [text for size, text in found.items() if size > 1000]
