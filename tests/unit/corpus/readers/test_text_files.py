"""Text corpora in three formats, and every way in which they can be wrong."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.unit.corpus.small import refusal, sentence, text_settings, write_folder, write_jsonl
from tribute.config import TextCorpusSettings
from tribute.corpus.readers.text_files import kinds_of_files, read_texts

ROWS = [{"source": s, "text": sentence(f"{s}{i}")} for s in ("wire", "atlas") for i in range(3)]


def texts(settings: TextCorpusSettings) -> dict[str, list[str]]:
    return {source_id: [d.text for d in found] for source_id, found in read_texts(settings).items()}


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
    documents = read_texts(text_settings(tmp_path))
    assert [d.document_id for d in documents["atlas"]] == ["maps/north.txt"]


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
    assert refusal(lambda: read_texts(text_settings(tmp_path))).startswith(
        f"{bad}, line 1: byte 0xe9 is not UTF-8"
    )


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


REFUSED = {
    "part.jsonl": "Give the file itself as corpus.path",
    "part.json": "Give the file itself",
    "part.parquet": "Give the file itself",
    "table.csv": "Convert it to .jsonl",
    "page.html": "Save its text as .txt",
    "page.HTM": "Save its text as .txt",
    "feed.xml": "Save its text",
    "book.pdf": "Save its text",
    "notes.docx": "Save its text",
    "notes.ipynb": "Save its text",
    "picture.png": "Save its text",
    "text.txt.gz": "Unpack it",
    "all.zip": "Unpack it",
    "settings.yaml": "Save its text",
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_is_no_text_is_never_trained_on(tmp_path: Path, name: str) -> None:
    """Whatever is inside: here it would pass as text."""
    write_folder(tmp_path, {"a": 1})
    (tmp_path / "a" / "deep").mkdir()
    (tmp_path / "a" / "deep" / name).write_text('{"source": "x", "text": "words"}')
    message = refusal(lambda: read_texts(text_settings(tmp_path)))
    assert message.startswith(
        f"{tmp_path}/a/deep/{name} is no text file: its name ends with {Path(name).suffix.lower()}"
    )
    assert REFUSED[name] in message


@pytest.mark.parametrize(
    "content", [b"%PDF-1.4\xe2\xe3", b"\x89PNG\r\n", b"a\0b", b"\x1f\x8b\x08", b"PK\x03\x04\x00"]
)
def test_a_binary_file_that_is_called_text_is_refused(tmp_path: Path, content: bytes) -> None:
    write_folder(tmp_path, {"a": 1})
    (tmp_path / "a" / "x.txt").write_bytes(content)
    message = refusal(lambda: read_texts(text_settings(tmp_path)))
    assert "x.txt" in message and "UTF-8" in message


@pytest.mark.parametrize("name", ["README", "a.md", "chapter.1", "code.py", "UPPER.TXT", "naïve.rst"])
def test_text_is_read_whatever_it_is_called(tmp_path: Path, name: str) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / name).write_text("some text")
    assert texts(text_settings(tmp_path)) == {"a": ["some text"]}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_byte_order_mark_says_the_encoding(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.txt").write_bytes("Übung\r\n漢字\r".encode(encoding))
    assert texts(text_settings(tmp_path)) == {"a": ["Übung\n漢字\n"]}
    rows = tmp_path / "c.jsonl"
    rows.write_bytes('{"source": "ü", "text": "Übung"}\r\n'.encode(encoding))
    assert texts(text_settings(rows)) == {"ü": ["Übung"]}


def test_another_encoding_is_told_with_its_remedy(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    path.write_bytes('{"source": "a", "text": "Übung"}'.encode("cp1252"))
    message = refusal(lambda: read_texts(text_settings(path)))
    assert message.startswith(f"{path}, line 1: byte 0xdc is not UTF-8. Save it as UTF-8")


@pytest.mark.parametrize("text", ["", " \n\n"])
def test_an_empty_file_is_told(tmp_path: Path, text: str) -> None:
    write_folder(tmp_path, {"a": 1})
    (tmp_path / "a" / "x.txt").write_text(text)
    assert "x.txt is empty, or shows nothing. Remove it" in refusal(lambda: read_texts(text_settings(tmp_path)))


def test_links_out_of_the_folder_are_not_followed(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "texts", {"a": 1, "b": 1})
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "elsewhere").mkdir()
    inside = root / "b" / "again.txt"
    inside.symlink_to(root / "a" / "00.txt")
    assert len(texts(text_settings(root))["b"]) == 2, "a link inside the corpus is a file of it"
    for target in (tmp_path / "secret.txt", tmp_path / "elsewhere", root / "a"):
        for link in (root / "b" / "link", root / "link"):
            link.symlink_to(target)
            if link.parent == root and not target.is_dir():
                assert "files outside any source: link" in refusal(lambda: read_texts(text_settings(root)))
            else:
                assert f"{link} is a link to {target}" in refusal(lambda: read_texts(text_settings(root)))
            link.unlink()
    inside.unlink()
    inside.symlink_to(tmp_path / "gone.txt")
    assert "again.txt is a link to nothing" in refusal(lambda: read_texts(text_settings(root)))


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ('{"source": "a", "text": "one", "source": "b"}', "source"),
        ('{"source": "a", "text": "one", "text": "one"}', "text"),
        ('{"source": "a", "text": "one", "more": {"x": 1, "x": 2}}', "x"),
    ],
)
def test_a_key_twice_in_a_row_is_told(tmp_path: Path, line: str, key: str) -> None:
    path = tmp_path / "c.jsonl"
    path.write_text('{"source": "a", "text": "good"}\n' + line)
    assert f"{path}, row 2: the key {key!r} stands twice" in refusal(lambda: read_texts(text_settings(path)))


def test_a_deep_or_huge_value_is_told(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    for line in ("[" * 100_000, '{"source": "a", "text": "b", "n": ' + "9" * 5000 + "}"):
        path.write_text(line)
        assert f"{path}, row 1: " in refusal(lambda: read_texts(text_settings(path)))


@pytest.mark.parametrize(
    "text", [[{"role": "user", "content": "private " * 40_000}], ["private"] * 9999, {"private": "x" * 9999}]
)
def test_a_chat_in_place_of_a_text_is_told_and_not_shown(tmp_path: Path, text: object) -> None:
    path = write_jsonl(tmp_path / "c.jsonl", [{"source": "a", "text": text}])
    message = refusal(lambda: read_texts(text_settings(path)))
    assert f"{path}, row 1: column 'text' is " in message
    assert len(message) - len(str(path)) < 220
    assert "list" in message or "dict" in message


@pytest.mark.parametrize("text", [" \n", "\u200b\u200b" * 200, "\ufeff \u2060", "\u3164" * 90])
def test_a_text_that_shows_nothing_is_refused(tmp_path: Path, text: str) -> None:
    """Characters without width would count as tokens, and be paid."""
    path = tmp_path / "c.jsonl"
    path.write_text(json.dumps({"source": "a", "text": text}) + "\n")
    assert "row 1: column 'text'" in refusal(lambda: read_texts(text_settings(path)))
    (tmp_path / "folder" / "a").mkdir(parents=True)
    (tmp_path / "folder" / "a" / "t.txt").write_text(text)
    assert "is empty, or shows nothing" in refusal(lambda: read_texts(text_settings(tmp_path / "folder")))


def test_bytes_in_parquet_are_read_as_utf8_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.parquet"
    pq.write_table(pa.table({"source": [b"alpha", "é".encode()], "text": [b"one", b"two"]}), path)
    assert texts(text_settings(path)) == {"alpha": ["one"], "é": ["two"]}
    pq.write_table(pa.table({"source": [b"alpha", b"\xff"], "text": ["one", "two"]}), path)
    assert "column 'source' holds bytes that are not UTF-8" in refusal(lambda: read_texts(text_settings(path)))
    pq.write_table(pa.table([["a"], ["b"], ["c"]], names=["source", "text", "text"]), path)
    assert "the column 'text' occurs twice" in refusal(lambda: read_texts(text_settings(path)))


def test_a_folder_is_no_partition(tmp_path: Path) -> None:
    path = tmp_path / "source=x" / "c.parquet"
    path.parent.mkdir()
    pq.write_table(pa.table({"text": ["one"]}), path)
    assert "has no column source" in refusal(lambda: read_texts(text_settings(path)))


@pytest.mark.parametrize("name", ["AC/DC", "../../x", "/abs", "[red]x[/]", "東京", "x" * 1024])
def test_any_printable_text_is_a_source(tmp_path: Path, name: str) -> None:
    path = write_jsonl(tmp_path / "c.jsonl", [{"source": f" {name}", "text": "one"}])
    assert list(texts(text_settings(path))) == [name]


def test_an_id_is_one_in_both_unicode_forms_and_control_characters_are_told(tmp_path: Path) -> None:
    rows = [{"source": "caf\u00e9", "text": "one"}, {"source": "cafe\u0301", "text": "two"}]
    assert texts(text_settings(write_jsonl(tmp_path / "c.jsonl", rows))) == {"caf\u00e9": ["one", "two"]}
    path = write_jsonl(tmp_path / "c.jsonl", [{"source": "a\u202eb", "text": "one"}])
    assert "row 1: the source is 'a\\u202eb', which holds U+202E" in refusal(
        lambda: read_texts(text_settings(path))
    )


def test_files_are_counted_by_kind() -> None:
    names = ["a/1.txt", "a/2.TXT", "b/3.md", "b/README"]
    assert kinds_of_files(names) == "4 files: 2 .txt, 1 .md, 1 without suffix"
