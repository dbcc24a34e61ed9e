"""Ways in which a copier may disguise a text: the owner keeps all, the copier nothing, honest sources all."""

import random
import unicodedata
from collections.abc import Callable
from datetime import date
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tribute.corpus.crediting.duplicates import credit_once
from tribute.corpus.crediting.normal_words import normal_words, spans
from tribute.corpus.sources import Document

LATIN = "abcdefghijklmnopqrstuvwxyzéüñ"
IDEOGRAPHS = [chr(code) for code in range(0x4E00, 0x4E00 + 900)]
KANA = [chr(code) for code in range(0x3042, 0x3094)]


def prose(seed: object, words: int = 300) -> str:
    rng = random.Random(f"prose {seed}")
    drawn = ["".join(rng.choice(LATIN) for _ in range(rng.randint(2, 9))) for _ in range(words)]
    return " ".join(
        word.capitalize() if n % 11 == 0 else word + "." * (n % 11 == 10) for n, word in enumerate(drawn)
    )


def chinese(seed: object, sentences: int = 60) -> str:
    rng = random.Random(f"chinese {seed}")
    lengths = [rng.randint(12, 25) for _ in range(sentences)]
    return "".join(
        "".join(rng.choice(IDEOGRAPHS) for _ in range(length)) + rng.choice("。!?") for length in lengths
    )


def japanese(seed: object, sentences: int = 60) -> str:
    rng = random.Random(f"japanese {seed}")
    return "。".join("".join(rng.choice(KANA + IDEOGRAPHS[:200]) for _ in range(30)) for _ in range(sentences))


def each_word(change: Callable[[int, str], str]) -> Callable[[str], str]:
    return lambda text: " ".join(change(n, word) for n, word in enumerate(text.split()))


EVASIONS: dict[str, Callable[[str], str]] = {
    "none": lambda text: text,
    "capitals": str.upper,
    "small letters": str.lower,
    "title case": str.title,
    "swapped case": str.swapcase,
    "decomposed": lambda text: unicodedata.normalize("NFD", text),
    "compatibility letters": lambda text: text.translate(
        {ord(c): chr(0xFF41 + n) for n, c in enumerate("abcdefghijklmnopqrstuvwxyz")}
    ),
    "mathematical letters": lambda text: text.translate(
        {ord(c): chr(0x1D41A + n) for n, c in enumerate("abcdefghijklmnopqrstuvwxyz")}
    ),
    "without marks": lambda text: "".join(
        c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c)
    ),
    "a mark on every letter": lambda text: "".join(c + "\u0323" if c.isalpha() else c for c in text),
    "zero-width spaces": lambda text: "\u200b".join(text),
    "zero-width joiners in words": each_word(lambda _, word: word[0] + "\u200d\u2060" + word[1:]),
    "soft hyphens": each_word(lambda _, word: word[:1] + "\u00ad" + word[1:]),
    "byte order marks": each_word(lambda n, word: word + "\ufeff" * (n % 3 == 0)),
    "variation selectors": lambda text: "\ufe00".join(text),
    "commas": each_word(lambda n, word: word + "," * (n % 4 == 0)),
    "other punctuation": lambda text: text.replace(".", " - ").replace("。", "、").replace("!", "…"),
    "without punctuation": lambda text: "".join(c for c in text if c not in ".。!?"),
    "quotes around words": each_word(lambda n, word: f"“{word}”" if n % 2 else word),
    "dashes between words": each_word(lambda _, word: f"{word} —"),
    "markdown": each_word(lambda n, word: f"**{word}**" if n % 3 else f"_{word}_"),
    "dots in words": each_word(lambda _, word: ".".join(word)),
    "hyphens for spaces": lambda text: text.replace(" ", "-"),
    "underscores for spaces": lambda text: text.replace(" ", "_"),
    "slashes for spaces": lambda text: text.replace(" ", "/"),
    "double spaces": lambda text: text.replace(" ", "  "),
    "a line per word": lambda text: text.replace(" ", "\n"),
    "thin spaces": lambda text: text.replace(" ", "\u2009"),
    "without spaces": lambda text: text.replace(" ", ""),
    "spaces between letters": lambda text: " ".join(text.replace(" ", "")),
    "words split": each_word(lambda n, word: f"{word[:3]} {word[3:]}" if n % 2 else word),
    "words joined": lambda text: "".join(c if c != " " or n % 3 else "" for n, c in enumerate(text)),
    "a space every ten letters": lambda text: " ".join(text[n : n + 10] for n in range(0, len(text), 10)),
    "letters of other scripts": lambda text: text.translate(
        str.maketrans("aceopxyABCEHKMOPTX", "асеорхуАВСЕНКМОРТХ")
    ),
    "parts in another order": lambda text: text[len(text) // 2 :] + " " + text[: len(text) // 2],
    "a word in ten replaced": each_word(lambda n, word: "other" if n % 10 == 9 else word),
    "a letter in two hundred replaced": lambda text: "".join(
        "的" if n % 200 == 0 else c for n, c in enumerate(text)
    ),
    "capitals with marks and commas": lambda text: "\u0301".join(text.upper()).replace(" ", ", "),
}
TEXTS = {"prose": prose, "chinese": chinese, "japanese": japanese}


def shares(original: str, disguised: str) -> tuple[float, float]:
    """What owner and copier keep of their letters; the copier's id comes first, the owner's claim does."""
    documents = {"owner": [Document("o", original)], "a copier": [Document("c", disguised)]}
    kept, _ = credit_once(documents, {"owner": date(2020, 1, 1)})
    return tuple(  # type: ignore[return-value]
        sum(len("".join(normal_words(each.text))) for each in kept[name]) / len("".join(normal_words(text)))
        for name, text in (("owner", original), ("a copier", disguised))
    )


@pytest.mark.parametrize("write", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("evade", EVASIONS.values(), ids=EVASIONS)
def test_a_disguised_copy_earns_nothing(evade, write) -> None:
    owner, copier = shares(write(0), evade(write(0)))
    assert owner >= 0.98 and copier < 0.02


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from(sorted(EVASIONS)), min_size=1, max_size=3),
    st.sampled_from(sorted(TEXTS)),
    st.integers(0, 99),
)
def test_disguises_on_top_of_each_other_earn_nothing(names: list[str], kind: str, seed: int) -> None:
    edits = [name for name in names if "replaced" in name or "order" in name]
    original = disguised = TEXTS[kind](seed)
    for name in edits[:1] + [name for name in names if name not in edits]:  # of the text's own words
        disguised = EVASIONS[name](disguised)
    owner, copier = shares(original, disguised)
    assert owner >= 0.98 and copier < 0.02


@pytest.mark.parametrize("write", TEXTS.values(), ids=TEXTS)
def test_a_disguised_copy_inside_own_text_is_cut_out_of_it(write) -> None:
    stolen, own = write(0), write(1)
    for name, evade in EVASIONS.items():
        if "replaced" in name or name == "spaces between letters":
            continue  # changed words are the copier's; single letters are so many words that all is a copy
        kept, _ = credit_once({"a": [Document("1", stolen)], "b": [Document("1", f"{own} {evade(stolen)}")]})
        left = sum(len("".join(normal_words(each.text))) for each in kept["b"]) / len("".join(normal_words(own)))
        assert 0.98 <= left < 1.02, name


@pytest.mark.parametrize("write", TEXTS.values(), ids=TEXTS)
def test_honest_sources_keep_everything(write) -> None:
    honest = {f"s{n}": [Document(str(m), write(f"{n}-{m}")) for m in range(3)] for n in range(3)}
    assert credit_once(honest) == (honest, ())


@given(st.text(max_size=60))
def test_every_word_has_its_place(text: str) -> None:
    words, places = normal_words(text), spans(text)
    assert len(words) == len(places)
    assert all(0 <= begin < end <= len(text) for begin, end in places)
    assert all(one[1] <= other[0] for one, other in pairwise(places))
    if text.isascii():
        assert [normal_words(text[begin:end]) for begin, end in places] == [[word] for word in words]
