"""The arrays find what loops over characters and words find, in any writing."""

import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.corpus.crediting import slow
from tests.unit.corpus.crediting.test_evasions import EVASIONS, TEXTS
from tests.unit.corpus.small import sentence
from tribute.corpus.crediting.duplicates import credit_once
from tribute.corpus.crediting.letter_runs import LetterRuns
from tribute.corpus.crediting.letters import NORMAL
from tribute.corpus.crediting.normal_words import normal_words, spans
from tribute.corpus.crediting.text_runs import TextRuns, joined_runs
from tribute.corpus.crediting.word_arrays import NormalWords
from tribute.corpus.eligibility import eligible_parts, repeats
from tribute.corpus.sources import Document

PAGES = [
    path.read_text()
    for path in sorted((Path(__file__).parents[4] / "docs").glob("*/*.md"))
    if path.stat().st_size < 9000
]
ODD = [
    *(
        "abc",
        "DEF",
        "x1",
        "42",
        "1,000",
        "é",
        "e\u0301",
        "Жук",
        "раура",
        "漢字",
        "かな",
        "ｱ",
        "㍿",
        "ﬁ",
        "ß",
        "İ",
        "한국",
        "٣٤",
    ),
    *(
        "²",
        "Ⅷ",
        "𝐚",
        "𠀀",
        "😀",
        "\u200b",
        "\u00ad",
        "\ufeff",
        "\ufe00",
        ".",
        ",",
        "--",
        "_",
        "—",
        "“",
        "\0",
        "\x7f",
        "\ud800",
    ),
    *("x" * 24, "x" * 25, "ж" * 24, "ж" * 31, "ab漢" * 9, "a.b" * 20, "1" * 30),
    *(" ", "  ", "\n", "\t", "\x0b", "\x1c", "\x1d", "\x1e", "\x1f", "\x85", "\xa0", "\u2003", "\u2028", "\u3000"),
]
texts = st.one_of(st.text(max_size=60), st.lists(st.sampled_from(ODD), max_size=30).map("".join))


@settings(max_examples=100, deadline=None)
@given(texts)
def test_words_and_their_places(text: str) -> None:
    assert normal_words(text) == slow.words_of(text)
    assert spans(text) == slow.spans_of(text)


def test_every_character_alone_and_within_a_word() -> None:
    """Of the whole of Unicode those that change, and every hundredth other one."""
    codes = [code for code in range(0x110000) if code % 300 == 0 or code < 0x3200 or 0xF900 <= code <= 0xFFFF]
    for first in range(0, len(codes), 500):
        text = " ".join(f"a{chr(code)}b" for code in codes[first : first + 500])
        assert normal_words(text) == slow.words_of(text)
    assert all(NORMAL[code].replace(" ", "") == slow.letters(chr(code)) for code in range(0, 0x110000, 37))


@settings(max_examples=100, deadline=None)
@given(st.lists(texts, max_size=5))
def test_documents_read_together_are_as_each_by_itself(several: list[str]) -> None:
    together, runs = NormalWords.of(several), TextRuns.of(several)
    assert together.first_D.tolist() == np.cumsum([0, *(len(slow.words_of(text)) for text in several)]).tolist()
    alone = [TextRuns.of([text]) for text in several]
    assert runs.digest_D == [each.digest_D[0] for each in alone]
    assert runs.hash_R.tolist() == [value for each in alone for value in each.hash_R.tolist()]
    assert runs.letters.hash_R.tolist() == [value for each in alone for value in each.letters.hash_R.tolist()]
    joined = joined_runs(several)
    for one, other in ((joined.word_R, runs.word_R), (joined.letters.letter_W, runs.letters.letter_W)):
        assert one.tolist() == other.tolist()


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from([*ODD, "some words that stand in a row "]), max_size=40).map("".join))
def test_runs_of_letters(text: str) -> None:
    found, expected = LetterRuns.of(NormalWords.of([text])), slow.letter_runs(slow.words_of(text))
    places = zip(found.first_words(), found.last_words(), found.begin_R, strict=True)
    assert [tuple(map(int, each)) for each in places] == [each[1:] for each in expected]
    assert len({*zip(found.hash_R.tolist(), (each[0] for each in expected), strict=True)}) == len(
        set(found.hash_R.tolist())
    )


@settings(max_examples=100, deadline=None)
@given(st.lists(texts, max_size=4))
def test_equal_words_and_they_alone_share_a_hash(several: list[str]) -> None:
    words = NormalWords.of(several)
    written = [word for text in several for word in slow.words_of(text)]
    alike = [slow.re.sub(r"\d+", "0", word) for word in written]
    for hash_W, names in ((words.hash_W, written), (words.numerals_alike(), alike)):
        assert len({*zip(hash_W.tolist(), names, strict=True)}) == len(set(names)) == len(set(hash_W.tolist()))


def test_the_hash_of_a_word_is_the_same_everywhere() -> None:
    found = NormalWords.of(["a reader antidisestablishmentar 漢 Жук"]).hash_W.tolist()
    assert found == [
        16029572799224777687,
        16026828259680179242,
        10875188865618149460,
        4788388074109648503,
        18063626696368970351,
    ]


def mixture(seed: int) -> dict[str, list[Document]]:
    """Sources that copy from each other, disguised or not, in pieces of any length."""
    rng = random.Random(seed)
    pool = [write(f"{seed}-{n}")[: rng.randrange(40, 900)] for write in TEXTS.values() for n in range(3)] + PAGES[
        seed::9
    ][:2]

    def made() -> str:
        parts = [
            EVASIONS[rng.choice(sorted(EVASIONS))](rng.choice(pool)[:900]) for _ in range(rng.randrange(1, 5))
        ]
        return rng.choice(["", " ", ", ", "\n"]).join(parts)

    return {source: [Document(f"{n}", made()) for n in range(4)] for source in "abc"}


def patchwork(seed: int) -> dict[str, list[Document]]:
    """Sources whose documents are few words of a common pool each, with words joined and split, and own ones."""
    rng = random.Random(seed)
    pool = [sentence(f"{seed}-{n}", words=rng.randrange(2, 60)) for n in range(10)]

    def made(name: str) -> str:
        words = sentence(name, words=rng.randrange(300)).split()
        for part in rng.choices(pool, k=rng.randrange(1, 5)):
            at = rng.randrange(len(words) + 1)
            words[at:at] = part.split()[rng.randrange(3) :]
        for _ in range(rng.randrange(4)):
            at = rng.randrange(len(words) or 1)
            words[at : at + 2] = ["".join(words[at : at + 2])]
        return " ".join(words)

    return {source: [Document(f"{n}", made(f"{seed}{source}{n}")) for n in range(5)] for source in "abc"}


@pytest.mark.parametrize(
    ("made", "seed"), [*((mixture, n) for n in range(2)), *((patchwork, n) for n in range(8))]
)
def test_what_is_credited_and_cut(made, seed: int) -> None:
    documents = made(seed)
    kept, _ = credit_once(documents)
    found = {(source, each.document_id): slow.words_of(each.text) for source in kept for each in kept[source]}
    expected = {key: words for key, words in slow.credited(documents).items() if words is not None}
    assert found == expected


@pytest.mark.parametrize("seed", range(3))
def test_what_is_eligible(seed: int) -> None:
    documents = mixture(seed) | {
        "none": [],
        "pages": [Document(f"{n}", text) for n, text in enumerate(PAGES[seed::7])],
    }
    documents |= {"few": [Document("1", "in 1999 some 12 words, or 13")], "one": [Document("1", "word")]}
    found = eligible_parts(documents)
    assert found == slow.eligible({source: [each.text for each in own] for source, own in documents.items()})


@given(st.lists(st.integers(0, 3), max_size=40))
def test_repeated_words(words: list[int]) -> None:
    assert (~repeats(np.array(words, np.int64))).tolist() == slow.new_words([str(word) for word in words])
