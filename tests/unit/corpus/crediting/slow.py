"""The comparison of texts by loops over characters and words: what the arrays of the product must equal."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from tribute.corpus.crediting.duplicates import (
    COPY_SHARE,
    MAX_QUOTED_SHARE,
    MIN_PASSAGE_WORDS,
    MIN_REPEATED_WORDS,
    in_order,
)
from tribute.corpus.crediting.letters import is_ideograph
from tribute.corpus.eligibility import BLOCK_WORDS, MIN_ORDER, SHUFFLED_WORDS, SHUFFLES, usual_of_others
from tribute.corpus.sources import Document
from tribute.ids import LOOK_ALIKE_LETTERS


def letters(character: str) -> str:
    folded = unicodedata.normalize("NFKD", character).casefold()
    kept = (each for each in unicodedata.normalize("NFKD", folded) if unicodedata.category(each)[0] in "LN")
    return "".join(LOOK_ALIKE_LETTERS.get(each, each) for each in kept)


def pieces(chunk: str) -> list[tuple[str, int]]:
    """The words between two spaces, and where each begins."""
    placed = [(letter, place) for place, character in enumerate(chunk) for letter in letters(character)]
    found, begin = [], 0
    while begin < len(placed):
        end = begin + 1
        while not is_ideograph(placed[begin][0]) and end < len(placed) and not is_ideograph(placed[end][0]):
            end += 1
        size = end - begin if end - begin <= 24 else 8
        for first in range(begin, end, size):
            part = placed[first : min(first + size, end)]
            found.append(("".join(letter for letter, _ in part), part[0][1]))
        begin = end
    return found


def words_of(text: str) -> list[str]:
    return [word for chunk in text.split() for word, _ in pieces(chunk)]


def spans_of(text: str) -> list[tuple[int, int]]:
    found, place = [], 0
    for chunk in text.split():
        begin = text.index(chunk, place)
        place = begin + len(chunk)
        starts = [start for _, start in pieces(chunk)]
        ends = [*starts[1:], len(chunk)]
        found += [(begin + s * (n > 0), begin + e) for n, (s, e) in enumerate(zip(starts, ends, strict=False))]
    return found


def letter_runs(words: Sequence[str]) -> list[tuple[str, int, int]]:
    """The runs of 25 letters that are compared, with their first and last words; an ideograph counts as three."""
    spread = [
        (letter, number, copy)
        for number, word in enumerate(words)
        for letter in word
        for copy in range(3 if is_ideograph(letter) else 1)
    ]
    found = []
    for begin in range(len(spread) - 24):
        run, state = spread[begin : begin + 25], 0
        for letter, _, _ in run:
            state = (state ^ ord(letter)) * 0x9E3779B97F4A7C15 % 2**64
            state ^= state >> 29
        if run[0][2] == 0 and (is_ideograph(run[0][0]) or state % 4 == 0):
            found.append(("".join(letter for letter, _, _ in run), run[0][1], run[-1][1], begin))
    return found


def stretches(begins: Sequence[int]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for begin in begins:
        joins = found and begin <= found[-1][1] + 3
        found[-1 if joins else len(found) :] = [(found[-1][0] if joins else begin, begin + 5)]
    return found


def credited(documents: Mapping[str, Sequence[Document]]) -> dict[tuple[str, str], list[str] | None]:
    """Words that stay of every document without targets, by loops; None: it is dropped."""
    owner: dict[object, str] = {}
    kept: dict[tuple[str, str], list[str] | None] = {}
    whole = set()
    for source, document in in_order(documents, None):
        words, key = words_of(document.text), (source, document.document_id)
        normal = "".join(words) or document.text.strip()
        runs = [tuple(words[n : n + 5]) for n in range(len(words) - 4)]
        owners = claimed_by(words, runs, owner, source)
        cut = cut_words(owners, source, len(words))
        kept[key] = None if cut is None or normal in whole else [w for n, w in enumerate(words) if n not in cut]
        if kept[key] is None or cut is None:
            continue
        whole.add(normal)
        for n, run in enumerate(runs):
            if cut.isdisjoint(range(n, n + 5)) and not any(is_ideograph(word[0]) for word in run):
                owner.setdefault(run, source)
        for run_letters, first, last, _ in letter_runs(words):
            if cut.isdisjoint(range(first, last + 1)):
                owner.setdefault(run_letters, source)
    return kept


def claimed_by(
    words: Sequence[str], runs: Sequence[tuple[str, ...]], owner: Mapping[object, str], source: str
) -> list[str | None]:
    """The owner of each run of five words."""
    seen: set[tuple[str, ...]] = set()
    owners: list[str | None] = []
    for run in runs:
        own = owner.get(run) or (source if run in seen else None)
        owners.append(None if any(is_ideograph(word[0]) for word in run) else own)
        seen.add(run)
    widths = [len(word) * (3 if is_ideograph(word[0]) else 1) for word in words]
    by_letter: dict[int, str] = {}
    for run_letters, _, _, begin in reversed(letter_runs(words)):
        if run_letters in owner:
            by_letter |= dict.fromkeys(range(begin, begin + 25), owner[run_letters])
    ends = np.cumsum(widths).tolist()
    covered = [
        [by_letter.get(n) for n in range(end - width, end)] for end, width in zip(ends, widths, strict=True)
    ]
    by_word = [None if None in each else min(str(name) for name in each) for each in covered]
    for n, own in enumerate(owners):
        if own is None and by_word[n] is not None and len(set(by_word[n : n + 5])) == 1:
            owners[n] = by_word[n]
    return owners


def cut_words(owners: Sequence[str | None], source: str, words: int) -> set[int] | None:
    """The words to cut; None: the document is a copy."""
    claimed = stretches([n for n, own in enumerate(owners) if own])
    others = stretches([n for n, own in enumerate(owners) if own and own != source])
    if claimed and sum(end - begin for begin, end in claimed) >= COPY_SHARE * words:
        return None
    lengths = [end - begin for begin, end in others]
    if max(lengths, default=0) < MIN_PASSAGE_WORDS and sum(lengths) < MAX_QUOTED_SHARE * words:
        others = []
    least = MIN_PASSAGE_WORDS if others else MIN_REPEATED_WORDS
    passages = [each for each in claimed if each[1] - each[0] >= least]
    return {n for begin, end in [*passages, *others] for n in range(begin, end)}


def eligible(texts: Mapping[str, Sequence[str]]) -> dict[str, float]:
    """The eligible part of every source, as `eligible_parts` has it."""
    words_S = [[re.sub(r"\d+", "0", word) for text in each for word in words_of(text)] for each in texts.values()]
    blocks, held = [], dict[tuple[str, str], set[int]]()
    for s, words in enumerate(words_S):
        last = max(len(words) // BLOCK_WORDS - 1, 0)
        blocks += [
            (s, words[n * BLOCK_WORDS : None if n == last else (n + 1) * BLOCK_WORDS], n) for n in range(last + 1)
        ]
    blocks = [each for each in blocks if each[1]]
    for b, (_, words, _) in enumerate(blocks):
        for pair in pairwise(words):
            held.setdefault(pair, set()).add(b)
    counts = []
    for shuffle in [None, *range(SHUFFLES)]:
        mixed_S = [words if shuffle is None else shuffled(words, shuffle) for words in words_S]
        counts.append(
            [
                sum(bool(held.get(pair, {b}) - {b}) for pair in pairwise(now))
                for b, (s, words, n) in enumerate(blocks)
                for now in [mixed_S[s][n * BLOCK_WORDS : n * BLOCK_WORDS + len(words)]]
            ]
        )
    excess_B = np.array(counts[0], float)
    for each in counts[1:]:
        excess_B -= np.array(each, float) / SHUFFLES
    order_B = excess_B / np.array([max(len(words) - 1, 1) for _, words, _ in blocks])
    new_S = [new_words(words) for words in words_S]
    size_B, source_B = np.array([len(words) for _, words, _ in blocks]), np.array([s for s, _, _ in blocks], int)
    new_B = np.array(
        [sum(new_S[s][n * BLOCK_WORDS : n * BLOCK_WORDS + len(words)]) for s, words, n in blocks], float
    )
    size_S = np.array([len(words) for words in words_S])
    usual_B = usual_of_others(np.bincount(source_B, order_B * size_B, len(size_S)) / np.maximum(size_S, 1))[
        source_B
    ]
    told_B = usual_B > MIN_ORDER
    sense_B = np.where(told_B, np.minimum(order_B, usual_B).clip(0) / np.where(told_B, usual_B, 1), 1)
    part_S = np.bincount(source_B, new_B * sense_B, len(size_S)) / np.maximum(size_S, 1)
    return dict(zip(texts, np.where(size_S > 0, part_S, 1).tolist(), strict=True))


def shuffled(words: Sequence[str], seed: int) -> list[str]:
    draws = np.random.default_rng(seed).random(len(words))
    return [words[n] for n in sorted(range(len(words)), key=lambda n: (n // SHUFFLED_WORDS, draws[n]))]


def new_words(words: Sequence[str]) -> list[bool]:
    """Whether each word lies in no run of five that occurred before but for a word."""
    seen: set[tuple[object, ...]] = set()
    new = [True] * len(words)
    for n in range(len(words) - 4):
        run = words[n : n + 5]
        holes = {(hole, *run[:hole], None, *run[hole + 1 :]) for hole in range(5)}
        if holes & seen:
            new[n : n + 5] = [False] * 5
        seen |= holes
    return new
