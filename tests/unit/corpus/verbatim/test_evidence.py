"""Passages that an answer shares with a corpus: against the standard library's matcher, and by hand."""

from collections.abc import Mapping
from difflib import SequenceMatcher
from pathlib import Path

import numpy as np
import pytest

from tests.projects import article
from tests.unit.corpus.small import idx_settings, text_settings, write_jsonl
from tribute.corpus import read_corpus, text_queries, write_snapshot
from tribute.corpus.verbatim import BYTES, SharedPassage, joined_windows, open_index, shared_passages
from tribute.corpus.verbatim.corpus import is_indexed
from tribute.corpus.verbatim.stored import stored_values
from tribute.errors import ConfigError, CorpusError

SENTENCE = (
    "The old lighthouse keeper counted seven ships before the winter storm reached the northern harbour wall."
)
DOCUMENTS = {
    "daily": [article("daily", 1), article("daily", 2, sentences=9) + "\n" + SENTENCE, article("daily", 3)],
    "sports": [
        article("sports", 4),
        "Früh übt sich, wer ein Meister werden will — sagt man. " * 2,
        SENTENCE,
        article("sports", 5),
    ],
}


def snapshot(folder: Path, documents: Mapping[str, list[str]] = DOCUMENTS, **settings: object) -> Path:
    rows = [{"source": source, "text": text} for source, texts in documents.items() for text in texts]
    path = write_jsonl(folder / "corpus.jsonl", rows)
    off = {"duplicates": {"credit": "off"}, "held_out": 0, "window": 9}
    write_snapshot(read_corpus(text_settings(path, **off | settings)), folder / "snapshot")
    return folder / "snapshot"


def found(folder: Path, answer: str, **asked: object) -> list[SharedPassage]:
    index = open_index(folder / "snapshot", folder / "index", BYTES)
    tokens = joined_windows(text_queries(["q"], [answer], 9).rows["tokens"])
    assert BYTES.decode(tokens) == answer
    return shared_passages(index, BYTES, tokens, **asked)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("verbatim")
    snapshot(made)
    return made


def test_the_longest_passage_of_each_source_is_that_of_the_standard_library(folder: Path) -> None:
    answer = "He wrote: " + DOCUMENTS["daily"][1][25:190] + " And then " + DOCUMENTS["sports"][0][10:95] + "?"
    exact = [each for each in found(folder, answer) if each.kind == "exact"]
    assert {each.source_id for each in exact} == {"daily", "sports"}
    for source_id, texts in DOCUMENTS.items():
        longest = next(each for each in exact if each.source_id == source_id)
        matches = [SequenceMatcher(None, answer, text, autojunk=False).find_longest_match() for text in texts]
        assert longest.characters == max(match.size for match in matches)
    for each in exact:
        assert answer[each.begin : each.end] == each.text
        assert DOCUMENTS[each.source_id][each.document][each.position :].startswith(each.text)
        assert each.matched == len(each.text.encode()) >= 30


def test_a_publishers_own_sentence(folder: Path) -> None:
    answer = f"Once: {SENTENCE} So it was."
    both = [each for each in found(folder, answer) if each.kind == "exact"]
    assert [(each.source_id, each.document, each.position) for each in both] == [
        ("daily", 1, len(DOCUMENTS["daily"][1]) - len(SENTENCE)),
        ("sports", 2, 0),
    ]
    assert {each.source_id for each in found(folder, answer, source_ids=["sports"])} == {"sports"}
    assert found(folder, answer, source_ids=[]) == []
    assert not [e for e in found(folder, answer, least=len(SENTENCE) + 2) if e.kind == "exact"]
    with pytest.raises(ConfigError, match="Runs of 29 tokens are too short"):
        found(folder, answer, least=29)


def test_characters_of_several_bytes_are_counted_as_one(folder: Path) -> None:
    [whole] = found(folder, "wie ein Meister werden will — sagt man. Ö")
    assert (whole.text, whole.characters, whole.matched) == (" ein Meister werden will — sagt man. ", 37, 39)
    answer = "wie ein Meister werden will — sagt man. Frö"
    [cut] = found(folder, answer)  # both go on with a first byte of two
    assert cut.text == answer[cut.begin : cut.end] == " ein Meister werden will — sagt man. Fr"
    assert cut.matched == len(cut.text.encode()) + 1


@pytest.mark.parametrize(
    ("answer", "kind", "text"),
    [
        (SENTENCE.upper().replace(" ", "\n"), "near", SENTENCE),
        (SENTENCE.replace("before the", "long before that"), "near", SENTENCE),
        (SENTENCE.replace("before ", ""), "near", SENTENCE),
        (SENTENCE.replace("before ", "before, he said, "), "near", SENTENCE),
        (SENTENCE, "exact", SENTENCE),
    ],
)
def test_words_with_an_edit_are_nearly_verbatim(folder: Path, answer: str, kind: str, text: str) -> None:
    passages = [each for each in found(folder, answer) if each.source_id == "sports"]
    assert passages[-1].kind == kind
    assert text.removesuffix(".") in passages[-1].text and passages[-1].text in text
    assert (passages[-1].begin, passages[-1].end) == (0, len(answer))


@pytest.mark.parametrize(
    "answer",
    [
        SENTENCE.replace("before the", "and many others came in from a"),
        SENTENCE.replace("counted seven ", ""),
        SENTENCE.replace("ships", "boats").replace("reached", "hit").replace("keeper", "man"),
    ],
)
def test_more_than_one_small_edit_is_not(folder: Path, answer: str) -> None:
    """The edit is too long, or too near an end, or not the only one."""
    assert not [each for each in found(folder, answer) if each.kind == "near"]


def test_no_passage_crosses_documents_and_held_out_text_never_counts(tmp_path: Path) -> None:
    texts = [f"{letter} " + " ".join(f"{letter}{n}" for n in range(60)) for letter in "abcd"]
    snapshot(tmp_path, {"one": texts, "two": [article("daily", 5)] * 2}, held_out=0.25)
    across = f"{texts[0][-40:]}\0{texts[1][:40]}"
    assert {each.characters for each in found(tmp_path, across)} <= {40}
    corpus = read_corpus(text_settings(tmp_path / "corpus.jsonl", duplicates={"credit": "off"}, window=9))
    one = corpus.sources[0]
    held_out, trained = (BYTES.decode(joined_windows(part["tokens"])) for part in (one.held_out, one.train))
    assert len(held_out) > 300
    assert found(tmp_path, held_out) == []
    assert sum(each.matched for each in found(tmp_path, trained) if each.kind == "exact") > len(trained) - 99


def test_an_index_is_kept_and_made_again_where_it_is_damaged(tmp_path: Path) -> None:
    path, told = snapshot(tmp_path), list[tuple[float, int]]()
    with pytest.raises(CorpusError, match="has no index of its runs yet"):
        open_index(path, tmp_path / "index", BYTES, make=False)
    assert not is_indexed(path, tmp_path / "index", BYTES)
    open_index(path, tmp_path / "index", BYTES, lambda *each: told.append(each))
    assert told[-1] == (2, 2) and is_indexed(path, tmp_path / "index", BYTES)
    told.clear()
    open_index(path, tmp_path / "index", BYTES, lambda *each: told.append(each))
    assert told == []
    damaged = tmp_path / "index" / "tokens" / "hashes.bin"
    damaged.write_bytes(damaged.read_bytes()[:-8] + b"12345678")
    open_index(path, tmp_path / "index", BYTES, lambda *each: told.append(each))
    assert told and found(tmp_path, SENTENCE)
    again = BYTES._replace(least=40)
    assert open_index(path, tmp_path / "index", again).tokens.record.least == 40
    assert sorted(each.name for each in tmp_path.iterdir()) == ["corpus.jsonl", "index", "snapshot"]


def test_a_corpus_of_arrays_has_no_verbatim_text(tmp_path: Path) -> None:
    write_snapshot(read_corpus(idx_settings(tmp_path, list("aabbaa"))), tmp_path / "snapshot")
    with pytest.raises(CorpusError, match="holds arrays"):
        open_index(tmp_path / "snapshot", tmp_path / "index", BYTES)


def test_rows_that_do_not_overlap_are_documents_of_their_own() -> None:
    """Padded rows of tokens of 32 bits."""
    rows = np.array([[70_000, 5, 6, -1], [9, 8, 7, 3], [4, 4, -1, -1]], np.int32)
    [values] = stored_values([rows], separator=3)
    assert values.tolist() == [70_001, 6, 7, 0, 10, 9, 8, 0, 0, 5, 5]
