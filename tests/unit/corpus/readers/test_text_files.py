"""Text corpora in three formats, and every way in which they can be wrong."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.unit.corpus.small import refusal, sentence, text_settings, write_folder, write_jsonl
from tribute.config import TextCorpusSettings
from tribute.corpus.readers.text_files import read_texts

ROWS = [{"source": s, "text": sentence(f"{s}{i}")} for s in ("wire", "atlas") for i in range(3)]


def texts(settings: TextCorpusSettings) -> dict[str, list[str]]:
    return {source_id: [d.text for d in found] for source_id, found in read_texts(settings)[0].items()}


def test_three_formats_give_the_same_texts(tmp_path: Path) -> None:
    jsonl = write_jsonl(tmp_path / "c.jsonl", ROWS)
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "c.parquet")
    for number, row in enumerate(ROWS):
        path = tmp_path / "folder" / row["source"] / f"{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(row["text"])
    expected = {s: [row["text"] for row in ROWS if row["source"] == s] for s in ("wire", "atlas")}
    for path in (jsonl, tmp_path / "c.parquet", tmp_path / "folder"):
        assert texts(text_settings(path)) == expected


def test_the_columns_can_have_other_names(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "c.jsonl", [{"site": "a", "body": "text", "more": 1}])
    assert texts(text_settings(path, source_column="site", text_column="body")) == {"a": ["text"]}


def test_documents_of_a_folder_are_known_by_their_path_inside_the_source(tmp_path: Path) -> None:
    nested = tmp_path / "atlas" / "maps" / "north.txt"
    nested.parent.mkdir(parents=True)
    nested.write_text("text")
    (tmp_path / "atlas" / ".hidden").write_text("not read")
    documents, inputs = read_texts(text_settings(tmp_path))
    assert [d.document_id for d in documents["atlas"]] == ["maps/north.txt"]
    assert [file.path for file in inputs] == [str(nested)]


def test_a_folder_without_documents_is_still_a_source(tmp_path: Path) -> None:
    write_folder(tmp_path, {"a": 1})
    (tmp_path / "b").mkdir()
    assert texts(text_settings(tmp_path))["b"] == []


def test_files_outside_any_source_are_told(tmp_path: Path) -> None:
    write_folder(tmp_path, {"a": 1})
    (tmp_path / "loose.txt").write_text("whose?")
    told = refusal(lambda: read_texts(text_settings(tmp_path)))
    assert str(tmp_path) in told
    assert "loose.txt" in told


def test_bad_utf8_is_told_by_file_and_byte(tmp_path: Path) -> None:
    write_folder(tmp_path, {"a": 1})
    bad = tmp_path / "a" / "latin.txt"
    bad.write_bytes(b"caf\xe9")
    assert refusal(lambda: read_texts(text_settings(tmp_path))).startswith(f"{bad} is not UTF-8 text (byte 3)")


@pytest.mark.parametrize("name", ["c.jsonl", "c.parquet"])
def test_a_missing_source_column_lists_the_columns_there_are(tmp_path: Path, name: str) -> None:
    rows = [{"site": "a", "text": "x"}]
    path = tmp_path / name
    write_jsonl(path, rows) if path.suffix == ".jsonl" else pq.write_table(pa.Table.from_pylist(rows), path)
    told = refusal(lambda: read_texts(text_settings(path)))
    assert told.startswith(str(path))
    assert "has no column source. It has: site, text" in told
    assert "project.yaml" in told


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('{"source": "a", "text": null}', "row 2: column 'text' is None"),
        ('{"source": "a", "text": " "}', "row 2: column 'text' is ' '"),
        ('{"source": null, "text": "x"}', "row 2: column 'source' is None"),
        ('{"source": 7, "text": "x"}', "row 2: column 'source' is 7"),
        ('{"source": "a"}', "row 2 has no column text"),
        ("[1]", "row 2 has no column source, text. It has: list"),
        ('{"source": "a", ', "row 2: not JSON"),
        ('{"source": "a", "text": "x", "source": "b"}', "row 2: the key 'source' stands twice. Remove one"),
        ('{"source": "a", "text": "x", "size": NaN}', "row 2: NaN is not a number in JSON"),
        (f'{{"source": "a", "text": "x", "size": {"9" * 5000}}}', "row 2: "),
    ],
)
def test_bad_rows_are_told_by_file_row_and_column(tmp_path: Path, line: str, told: str) -> None:
    path = tmp_path / "c.jsonl"
    path.write_text('{"source": "a", "text": "good"}\n' + line + "\n")
    message = refusal(lambda: read_texts(text_settings(path)))
    assert message.startswith(str(path))
    assert told in message


def test_null_text_in_parquet_is_told(tmp_path: Path) -> None:
    path = tmp_path / "c.parquet"
    pq.write_table(pa.Table.from_pylist([ROWS[0], {"source": "a", "text": None}]), path)
    assert "row 2: column 'text' is None" in refusal(lambda: read_texts(text_settings(path)))


def test_a_file_that_is_no_parquet_is_told(tmp_path: Path) -> None:
    path = tmp_path / "c.parquet"
    path.write_bytes(b"not parquet")
    assert refusal(lambda: read_texts(text_settings(path))).startswith(f"{path} cannot be read as Parquet")


@pytest.mark.parametrize(("name", "told"), [("gone.jsonl", "does not exist"), ("c.csv", "is neither a folder")])
def test_what_cannot_be_a_corpus_is_told(tmp_path: Path, name: str, told: str) -> None:
    (tmp_path / "c.csv").write_text("source,text\n")
    assert told in refusal(lambda: read_texts(text_settings(tmp_path / name)))


@pytest.mark.parametrize("inside", ["\u2028", "\u2029", "\x85"])
def test_only_a_line_feed_ends_a_line(tmp_path: Path, inside: str) -> None:
    path = tmp_path / "c.jsonl"
    path.write_text(f'{{"source": "a", "text": "one{inside}two"}}\n\n', encoding="utf-8")
    assert texts(text_settings(path)) == {"a": [f"one{inside}two"]}


def test_half_a_character_is_told_by_row(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "c.jsonl", [{"source": "a", "text": "bad \ud800"}])
    assert f"{path}, row 1: column 'text' holds half a character" in refusal(
        lambda: read_texts(text_settings(path))
    )


def test_hidden_folders_are_no_sources(tmp_path: Path) -> None:
    write_folder(tmp_path, {"a": 1, ".git": 1})
    assert list(texts(text_settings(tmp_path))) == ["a"]
