"""Whole corpora: what is trained on, what is held out, and a changed byte found later."""

from pathlib import Path

import numpy as np
import pytest

from tests.unit.corpus.small import idx_settings, refusal, sentence, text_settings, write_folder, write_jsonl
from tribute.corpus import read_corpus, verify_inputs
from tribute.corpus.reading import split_documents
from tribute.corpus.sources import Document
from tribute.errors import CorpusChanged


def test_sources_come_in_the_order_of_their_ids(tmp_path: Path) -> None:
    rows = [{"source": s, "text": sentence(f"{s}{i}")} for s in ("c", "a", "b") for i in range(2)]
    one = read_corpus(text_settings(write_jsonl(tmp_path / "one.jsonl", rows)))
    other = read_corpus(
        text_settings(write_jsonl(tmp_path / "two.jsonl", sorted(rows, key=lambda r: r["source"])))
    )
    assert [each.source.source_id for each in one.sources] == ["a", "b", "c"]
    assert [each.source.publisher for each in one.sources] == ["a", "b", "c"]
    assert len(other.sources) == 3


def test_the_same_files_give_the_same_bits_and_another_word_does_not(tmp_path: Path) -> None:
    settings = text_settings(write_folder(tmp_path, {"a": 5, "b": 3}))
    before = read_corpus(settings).sha256
    assert read_corpus(settings).sha256 == before
    (tmp_path / "a" / "00.txt").write_text(sentence("another"))
    assert read_corpus(settings).sha256 != before


@pytest.mark.parametrize("count", [2, 3, 8, 40])
def test_some_documents_are_held_out_and_none_is_in_both(count: int) -> None:
    documents = [Document(str(i), sentence(i)) for i in range(count)]
    train, held = split_documents(documents, 0.25)
    assert {d.document_id for d in train}.isdisjoint(d.document_id for d in held)
    assert len(train) + len(held) == count
    assert len(held) == min(max(round(0.25 * count), 1), count - 1)


def test_a_document_is_held_out_for_its_text_and_not_its_place() -> None:
    documents = [Document(str(i), sentence(i)) for i in range(20)]
    renamed = [Document(f"x{i}", each.text) for i, each in enumerate(reversed(documents))]
    held = [{d.text for d in split_documents(each, 0.25)[1]} for each in (documents, renamed)]
    assert held[0] == held[1]


def test_a_lone_document_gives_its_tail() -> None:
    [train], [held] = split_documents([Document("d", "0123456789")], 0.3)
    assert (train.text, held.text) == ("0123456", "789")


def test_nothing_is_held_out_when_told_so(tmp_path: Path) -> None:
    corpus = read_corpus(text_settings(write_folder(tmp_path, {"a": 3, "b": 1}), held_out=0))
    assert [len(each.held_out["tokens"]) for each in corpus.sources] == [0, 0]
    assert not any(record.held_out for each in corpus.sources for record in each.documents)


def test_duplicates_are_dropped_before_the_windows_are_cut(tmp_path: Path) -> None:
    write_folder(tmp_path, {"a": 3, "b": 3})
    alone = read_corpus(text_settings(tmp_path))
    (tmp_path / "b" / "copy.txt").write_text((tmp_path / "a" / "00.txt").read_text())
    copied = read_corpus(text_settings(tmp_path))
    assert (alone.dropped_duplicates, copied.dropped_duplicates) == (0, 1)
    assert copied.sha256 == alone.sha256


def test_a_source_of_nothing_but_copies_is_empty(tmp_path: Path) -> None:
    write_folder(tmp_path, {"a": 3, "b": 2, "copier": 1})
    (tmp_path / "copier" / "00.txt").write_text((tmp_path / "a" / "00.txt").read_text())
    told = refusal(lambda: read_corpus(text_settings(tmp_path)))
    assert "Source 'copier' is empty" in told
    assert "17 bytes" in told


def test_a_source_shorter_than_a_window_is_told(tmp_path: Path) -> None:
    write_folder(tmp_path, {"a": 3, "b": 1})
    (tmp_path / "b" / "00.txt").write_text("too short")
    assert "Source 'b' is empty" in refusal(lambda: read_corpus(text_settings(tmp_path)))


def test_one_source_is_no_corpus(tmp_path: Path) -> None:
    told = refusal(lambda: read_corpus(text_settings(write_folder(tmp_path, {"only": 3}))))
    assert told == "A corpus needs at least two sources, this one has: only"


def test_no_source_is_no_corpus(tmp_path: Path) -> None:
    assert "this one has: none" in refusal(lambda: read_corpus(text_settings(tmp_path)))


def test_documents_are_recorded_with_their_hash(tmp_path: Path) -> None:
    corpus = read_corpus(text_settings(write_folder(tmp_path, {"a": 4, "b": 4})))
    records = corpus.sources[0].documents
    assert sorted(each.document_id for each in records) == ["00.txt", "01.txt", "02.txt", "03.txt"]
    assert sum(each.held_out for each in records) == 1
    assert {each.sha256 for each in records} == {
        file.sha256 for file in corpus.inputs if Path(file.path).parent.name == "a"
    }


def test_arrays_keep_their_values(tmp_path: Path) -> None:
    corpus = read_corpus(idx_settings(tmp_path, list("aabbab"), held_out=0.3))
    assert [each.tokens for each in corpus.sources] == [2, 2]
    assert [len(each.held_out["labels"]) for each in corpus.sources] == [1, 1]
    whole = np.concatenate([part["features"] for each in corpus.sources for part in (each.train, each.held_out)])
    assert np.allclose(np.sort((whole * 255).ravel()), np.arange(36))


def test_arrays_hold_nothing_out_when_told_so(tmp_path: Path) -> None:
    corpus = read_corpus(idx_settings(tmp_path, list("aabbab"), held_out=0))
    assert [each.tokens for each in corpus.sources] == [3, 3]
    assert corpus.sources[0].held_out["features"].shape == (0, 6)


def test_unchanged_files_pass(tmp_path: Path) -> None:
    corpus = read_corpus(text_settings(write_folder(tmp_path, {"a": 2, "b": 2})))
    verify_inputs(corpus.inputs, "train-1")


def test_a_changed_byte_and_a_vanished_file_are_told(tmp_path: Path) -> None:
    corpus = read_corpus(text_settings(write_folder(tmp_path, {"a": 2, "b": 2})))
    changed, gone = tmp_path / "a" / "00.txt", tmp_path / "b" / "01.txt"
    content = bytearray(changed.read_bytes())
    content[3] ^= 1
    changed.write_bytes(content)
    gone.unlink()
    with pytest.raises(CorpusChanged) as raised:
        verify_inputs(corpus.inputs, "train-1")
    told = str(raised.value)
    assert f"since train-1 was recorded: {changed}, {gone}." in told
    assert "raise corpus.revision in project.yaml" in told
    changed.write_bytes(bytes(content[:3]) + bytes([content[3] ^ 1]) + bytes(content[4:]))
    gone.write_text(sentence("b-1"))
    verify_inputs(corpus.inputs, "train-1")


def test_only_the_first_few_changed_files_are_named(tmp_path: Path) -> None:
    corpus = read_corpus(text_settings(write_folder(tmp_path, {"a": 4, "b": 2})))
    for file in corpus.inputs:
        Path(file.path).write_text("changed")
    with pytest.raises(CorpusChanged, match="and 3 more"):
        verify_inputs(corpus.inputs, "train-1")
