"""Credit for text that several documents share: against brute force, and one attack at a time."""

import random
from collections.abc import Mapping, Sequence
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.corpus.small import sentence
from tribute.corpus.crediting.duplicates import (
    MAX_QUOTED_SHARE,
    MIN_PASSAGE_WORDS,
    MIN_REPEATED_WORDS,
    credit_once,
    in_order,
)
from tribute.corpus.crediting.word_runs import GAP, SHINGLE_WORDS
from tribute.corpus.sources import Document, Duplicates

EARLY, LATE = date(2025, 1, 1), date(2026, 1, 1)


def document(name: str, *texts: str, claimed: date | None = None) -> Document:
    return Document(name, " ".join(texts), claimed)


def retouched(text: str, every: int) -> str:
    return " ".join("changed" if n % every == 0 else word for n, word in enumerate(text.split()))


def stretches(begins: Sequence[int], words: int, least: int) -> set[int]:
    """Words that runs cover, gaps closed, of stretches that are long enough."""
    covered = {n + m for n in begins for m in range(SHINGLE_WORDS)}
    for n in sorted(covered):
        near = [m for m in range(1, GAP + 2) if n + m in covered]
        covered |= set(range(n, n + near[0])) if near else set()
    return long_ones(covered, words, least)


def long_ones(covered: set[int], words: int, least: int) -> set[int]:
    """Covered words that stand in at least so many in a row."""
    found, stretch = set[int](), set[int]()
    for n in range(words + 1):
        if n in covered:
            stretch.add(n)
            continue
        found |= stretch if len(stretch) >= least else set()
        stretch = set()
    return found


def brute_force(documents: Mapping[str, Sequence[Document]]) -> dict[tuple[str, str], list[str]]:
    """Words that stay of every document, by loops over all runs that stand whole in what was kept before."""
    standing: dict[tuple[str, ...], str] = {}
    left, whole = {}, set()
    for source_id, each in in_order(documents, None):
        words = each.text.split()
        runs = [tuple(words[n : n + SHINGLE_WORDS]) for n in range(len(words) - SHINGLE_WORDS + 1)]
        owners = [standing.get(run, source_id if run in runs[:n] else None) for n, run in enumerate(runs)]
        claimed = [n for n, owner in enumerate(owners) if owner]
        borrowed = stretches([n for n in claimed if owners[n] != source_id], len(words), 1)
        if not long_ones(borrowed, len(words), MIN_PASSAGE_WORDS) and len(borrowed) < MAX_QUOTED_SHARE * len(
            words
        ):
            borrowed = set()
        dropped = len(stretches(claimed, len(words), 1)) >= 0.8 * len(words) or each.text in whole
        gone = borrowed | stretches(claimed, len(words), MIN_PASSAGE_WORDS if borrowed else MIN_REPEATED_WORDS)
        left[source_id, each.document_id] = [] if dropped else [w for n, w in enumerate(words) if n not in gone]
        for n, run in enumerate(runs):
            if not dropped and gone.isdisjoint(range(n, n + SHINGLE_WORDS)):
                standing.setdefault(run, source_id)
        if not dropped:
            whole.add(each.text)
    return left


@pytest.mark.parametrize("seed", range(20))
def test_what_is_left_is_what_brute_force_leaves(seed: int) -> None:
    """Documents made of stretches of others, short and long, with words changed."""
    rng = random.Random(seed)
    pool = [sentence(f"{seed}-{n}", words=rng.randrange(3, 120)) for n in range(12)]

    def made(name: str) -> Document:
        parts = rng.sample(pool, rng.randrange(1, 5))
        return document(name, *(retouched(part, rng.choice((7, 30, 500))) for part in parts))

    documents = {source: [made(str(n)) for n in range(4)] for source in "abc"}
    expected = brute_force(documents)
    kept, _ = credit_once(documents)
    found = {(source, each.document_id): each.text.split() for source in kept for each in kept[source]}
    assert found == {key: words for key, words in expected.items() if words}


blocks = st.lists(st.integers(0, 11), min_size=1, max_size=7)
corpora = st.lists(st.tuples(st.sampled_from("abc"), blocks), min_size=1, max_size=9)
BLOCKS = [
    " ".join(f"w{name}x{n}" for n in range(words))
    for name, words in enumerate((GAP + 1, 5, 6, 9, 14, 30, 49, 50, 51, 80, 190, 240))
]
"""Passages of words that occur in no other."""


def made_of_blocks(drawn: list[tuple[str, list[int]]]) -> dict[str, list[Document]]:
    documents: dict[str, list[Document]] = {"a": [], "b": [], "c": []}
    for number, (source_id, names) in enumerate(drawn):
        documents[source_id].append(document(f"{number}", *(BLOCKS[name] for name in names)))
    return documents


@settings(max_examples=300, deadline=None)
@given(corpora)
def test_every_passage_of_a_document_that_is_not_dropped_stands_whole(drawn: list[tuple[str, list[int]]]) -> None:
    kept, _ = credit_once(made_of_blocks(drawn))
    stand = [" ".join(each.text.split()) for rest in kept.values() for each in rest]
    not_dropped = {int(each.document_id) for rest in kept.values() for each in rest}
    for number in not_dropped:
        for name in drawn[number][1]:
            assert any(BLOCKS[name] in text for text in stand)


@settings(max_examples=300, deadline=None)
@given(corpora)
def test_a_dropped_document_claims_nothing(drawn: list[tuple[str, list[int]]]) -> None:
    """What is kept is the same as if it had never been there."""
    documents = made_of_blocks(drawn)
    kept, _ = credit_once(documents)
    names = {source_id: {each.document_id for each in rest} for source_id, rest in kept.items()}
    rest = {
        source_id: [d for d in own if d.document_id in names[source_id]] for source_id, own in documents.items()
    }
    assert credit_once(rest)[0] == kept


def test_what_was_new_in_a_dropped_copy_belongs_to_who_has_it_next() -> None:
    """c is a copy of a with something new, and is dropped; b has that too, and keeps it; d copies it from b."""
    stolen, new, own = sentence(0, words=400), sentence(1, words=80), sentence(2, words=100)
    documents = {
        "a": [document("1", stolen, claimed=date(2024, 1, 1))],
        "c": [document("1", stolen, new, claimed=date(2024, 1, 2))],
        "b": [document("1", own, new, claimed=date(2024, 1, 3))],
        "d": [document("1", new, claimed=date(2024, 1, 4))],
    }
    kept, found = credit_once(documents, {})
    assert kept == documents | {"c": [], "d": []}
    assert found == (Duplicates("c", "a", "near", 1), Duplicates("d", "b", "near", 1))


@pytest.mark.parametrize(("stolen", "own"), [(45, 12), (20, 20), (20, 100)])
def test_a_text_taken_in_pieces_between_own_words_is_cut_out(stolen: int, own: int) -> None:
    """No piece is as long as a passage, and little of the document is a copy."""
    text, filler = sentence(0, words=400), sentence(1, words=4000).split()
    words = text.split()
    pieces = [w for n in range(0, 400, stolen) for w in (*words[n : n + stolen], *filler[n * 10 : n * 10 + own])]
    kept, found = credit_once({"a": [document("1", text)], "b": [document("1", *pieces)]})
    assert not set(kept["b"][0].text.split()) & (set(words) - set(filler))
    assert len(kept["b"][0].text.split()) == own * -(-400 // stolen)
    assert found == (Duplicates("b", "a", "passage", 1),)


def test_an_exact_copy_is_credited_to_the_earliest_claim_whatever_the_ids() -> None:
    text = sentence(0)
    documents = {"aaa": [document("1", text)], "zzz": [document("9", text.replace(" ", "\n  "))]}
    kept, found = credit_once(documents, {"zzz": EARLY, "aaa": LATE})
    assert (len(kept["aaa"]), len(kept["zzz"])) == (0, 1)
    assert found == (Duplicates("aaa", "zzz", "exact", 1),)
    assert credit_once(documents, {"aaa": EARLY})[1] == (Duplicates("zzz", "aaa", "exact", 1),), "unknown is later"
    for dates in ({}, None, {"aaa": EARLY, "zzz": EARLY}):
        assert credit_once(documents, dates)[1] == (Duplicates("zzz", "aaa", "exact", 1),), "a tie: by id"


def test_a_document_s_own_date_comes_before_its_source_s() -> None:
    text, other = sentence(0), sentence(1)
    documents = {
        "old": [document("1", text, claimed=LATE), document("2", other)],
        "young": [document("1", text), document("2", other)],
    }
    dates = {"old": EARLY, "young": date(2025, 6, 1)}
    kept, found = credit_once(documents, dates)
    assert [each.document_id for each in kept["old"]] == ["2"]
    assert [each.document_id for each in kept["young"]] == ["1"]
    assert found == (Duplicates("old", "young", "exact", 1), Duplicates("young", "old", "exact", 1))
    assert credit_once(documents, None)[1] == (Duplicates("young", "old", "exact", 2),), "dates do not count"


@pytest.mark.parametrize("copies", [1, 2, 5])
def test_copies_leave_exactly_what_was_there_without_them(copies: int) -> None:
    honest = {f"s{n}": [document(str(m), sentence(f"{n}-{m}")) for m in range(4)] for n in range(3)}
    attacked = honest | {f"aa{n}": honest["s1"] for n in range(copies)}
    kept, found = credit_once(attacked, dict.fromkeys(honest, EARLY))
    assert {source: rest for source, rest in kept.items() if rest} == honest
    assert found == tuple(Duplicates(f"aa{n}", "s1", "exact", 4) for n in range(copies))


COPIES = {
    "a word in seven changed": lambda text: retouched(text, 7),
    "beginning cut": lambda text: " ".join(text.split()[20:]),
    "parts in another order": lambda text: " ".join(text.split()[60:] + text.split()[:60]),
}


@pytest.mark.parametrize("change", COPIES.values(), ids=COPIES)
def test_near_copies_are_dropped(change) -> None:
    original = sentence(0, words=120)
    kept, found = credit_once({"a": [document("1", original)], "b": [document("1", change(original))]})
    assert (kept["b"], found) == ([], (Duplicates("b", "a", "near", 1),))


def test_a_copy_hidden_in_own_text_is_cut_out_and_the_rest_stays() -> None:
    stolen, before, after = sentence(0, words=80), sentence(1, words=200), sentence(2, words=200)
    hidden = document("1", before, retouched(stolen, 20), after)
    kept, found = credit_once({"a": [document("1", stolen)], "b": [hidden]})
    assert found == (Duplicates("b", "a", "passage", 1),)
    [rest] = kept["b"]
    assert rest.text == f"{before} changed\n{after}", "the changed word at its edge is its own"


def test_own_text_repeated_around_a_copied_passage_does_not_hide_it() -> None:
    stolen, own = sentence(0, words=80), sentence(1, words=100)
    documents = {"a": [document("1", stolen)], "b": [document("1", own), document("2", own, stolen)]}
    kept, found = credit_once(documents)
    assert [each.document_id for each in kept["b"]] == ["1"]
    assert found == (Duplicates("b", "b", "near", 1),), "most of it is its own"


def test_quotations_and_related_texts_stay() -> None:
    quoted = sentence(0, words=MIN_PASSAGE_WORDS - 1)

    def quoting(words: int) -> dict[str, list[Document]]:
        own = document("1", sentence(2, words=words - len(quoted.split())), quoted)
        return {
            "a": [document("1", quoted, sentence(1, words=100))],
            "b": [own, document("2", sentence(3, words=100))],
        }

    enough = round(len(quoted.split()) / MAX_QUOTED_SHARE)
    assert credit_once(quoting(enough + 1)) == (quoting(enough + 1), ())
    kept, found = credit_once(quoting(enough - 1))
    assert quoted not in kept["b"][0].text and found == (Duplicates("b", "a", "passage", 1),)
    assert not credit_once({f"s{n}": [document("1", sentence(n))] for n in range(40)})[1]


def test_a_source_repeats_itself_up_to_a_limit() -> None:
    template, own = sentence(0, words=MIN_REPEATED_WORDS - 10), [sentence(n, words=60) for n in (1, 2)]
    modest = {"a": [document("1", template, own[0]), document("2", template, own[1])]}
    assert credit_once(modest) == (modest, ())
    nearly_all = {"a": [document("1", template, own[0]), document("2", template, sentence(2, words=40))]}
    assert [each.document_id for each in credit_once(nearly_all)[0]["a"]] == ["1"], "own text or not"
    padding = sentence(3, words=2 * MIN_REPEATED_WORDS)
    kept, found = credit_once({"a": [document("1", padding), document("2", padding, own[0])]})
    assert [each.document_id for each in kept["a"]] == ["1"]
    assert found == (Duplicates("a", "a", "near", 1),)
    within, _ = credit_once({"a": [document("1", padding, padding, padding, *own)]})
    assert within["a"][0].text.split() == [*padding.split(), *" ".join(own).split()]


def test_short_texts_are_duplicates_only_if_they_are_equal() -> None:
    kept, found = credit_once({"a": [document("1", "one two"), document("2", "one two"), document("3", "two")]})
    assert [each.document_id for each in kept["a"]] == ["1", "3"]
    assert found == (Duplicates("a", "a", "exact", 1),)
    assert credit_once({"a": [], "b": []}) == ({"a": [], "b": []}, ())
