"""Files of a corpus, right ones and broken ones."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.fuzz.chance import Chance
from tests.fuzz.corpus.texts import Rows, encoded, json_lines, parquet
from tests.fuzz.odd_ids import UNPRINTABLE

Texts = dict[str, list[str]]


def _replaced(line: Callable[[dict[str, Any]], str | bytes]) -> Callable[[Rows], bytes]:
    """The last row written in another way."""

    def write(rows: Rows) -> bytes:
        last = line(dict(rows[-1]))
        content = "\n".join(map(json.dumps, rows[:-1])).encode() + b"\n"
        return content + (last if isinstance(last, bytes) else last.encode())

    return write


def _cell(column: str, value: object) -> Callable[[Rows], bytes]:
    return _replaced(lambda row: json.dumps(row | {column: value}))


def _without(column: str) -> Callable[[Rows], bytes]:
    return _replaced(lambda row: json.dumps({name: value for name, value in row.items() if name != column}))


def _twice(row: dict[str, Any]) -> str:
    return f'{json.dumps(row)[:-1]}, "text": "another text"}}'


JSONL: dict[str, Callable[[Rows], bytes]] = {
    "a key twice": _replaced(_twice),
    "no source": _without("source"),
    "no text": _without("text"),
    "an empty text": _cell("text", "  "),
    "a text that is a number": _cell("text", 7),
    "a text that is null": _cell("text", None),
    "chat messages": _cell("text", [{"role": "user", "content": "a private question " * 20}]),
    "a source that is a list": _cell("source", ["a"]),
    "an unprintable source": _cell("source", UNPRINTABLE["an escape"]),
    "a source turned around": _cell("source", UNPRINTABLE["a bidirectional override"]),
    "a source of 1,025 characters": _cell("source", UNPRINTABLE["1,025 characters"]),
    "half a character": _cell("text", "a lone \ud800 surrogate in a longer text"),
    "a NUL in a source": _cell("source", "a\0b"),
    "a list for a row": _replaced(lambda row: json.dumps(list(row.values()))),
    "a trailing comma": _replaced(lambda row: json.dumps(row)[:-1] + ",}"),
    "a cut row": _replaced(lambda row: json.dumps(row)[:-9]),
    "NaN": _replaced(lambda row: json.dumps(row)[:-1] + ', "score": NaN}'),
    "Latin-1": _replaced(
        lambda _: json.dumps({"source": "a", "text": "déjà vu"}, ensure_ascii=False).encode("latin-1")
    ),
    "a NUL byte": _replaced(lambda row: json.dumps(row).encode() + b"\0"),
    "nothing": lambda _: b"",
    "one source": lambda rows: json.dumps(rows[0]).encode(),
    "a claim that is no date": _cell("claimed", "2026-W40"),
    "a date of no calendar": _cell("claimed", "2026-02-30"),
    "nested too deeply": _replaced(lambda _: "[" * 100_000),
}
FOLDER: dict[str, Callable[[Path, Path], object]] = {
    "rows among texts": lambda _, own: (own / "rows.jsonl").write_text('{"text": "x"}\n'),
    "a table among texts": lambda _, own: (own / "table.csv").write_text("a,b\n1,2\n"),
    "a page among texts": lambda _, own: (own / "page.html").write_text("<script>1</script>"),
    "a picture among texts": lambda _, own: (own / "picture.png").write_bytes(b"\x89PNG\r\n"),
    "binary text": lambda _, own: (own / "binary.txt").write_bytes(b"abc\0def" * 9),
    "Latin-1": lambda _, own: (own / "old.txt").write_bytes("déjà vu".encode("latin-1")),
    "an empty file": lambda _, own: (own / "empty.txt").write_text("\n"),
    "a loose file": lambda root, _: (root / "loose.txt").write_text("outside of any source"),
    "a link out": lambda root, own: (own / "link.txt").symlink_to(root.parent / "project.yaml"),
    "a link to nothing": lambda _, own: (own / "link.txt").symlink_to("nowhere"),
    "a link to a folder": lambda root, own: (own / "link").symlink_to(root.parent),
    "an unprintable folder": lambda root, own: own.rename(root / "a\x1bb"),
    "UTF-16 without a mark": lambda _, own: (own / "wide.txt").write_bytes("Über wide".encode("utf-16-le")),
    "an archive": lambda _, own: (own / "texts.zip").write_bytes(b"PK\x03\x04"),
}


def _columns(**changed: Callable[[list[Any]], Any]) -> Callable[[Path, Rows], None]:
    def write(path: Path, rows: Rows) -> None:
        columns: dict[str, Any] = {name: [row[name] for row in rows] for name in rows[0]}
        table = {name: changed.get(name, lambda values: values)(values) for name, values in columns.items()}
        pq.write_table(pa.table({name: values for name, values in table.items() if values is not None}), path)

    return write


PARQUET: dict[str, Callable[[Path, Rows], object]] = {
    "no text": _columns(text=lambda _: None),
    "no source": _columns(source=lambda _: None),
    "a text that is null": _columns(text=lambda values: [*values[:-1], None]),
    "texts that are numbers": _columns(text=lambda values: list(range(len(values)))),
    "bytes that are no text": _columns(
        text=lambda values: [*(each.encode() for each in values[:-1]), b"\xff\xfe\xfa"]
    ),
    "a source that is null": _columns(source=lambda values: [*values[:-1], None]),
    "an unprintable source": _columns(source=lambda values: [*values[:-1], "a\0b"]),
    "no Parquet": lambda path, _: path.write_bytes(b"PAR1 is how it begins, but this is no table"),
    "a cut file": lambda path, rows: (_columns()(path, rows), path.write_bytes(path.read_bytes()[:-20])),
    "no rows": lambda path, rows: pq.write_table(pa.table({n: pa.array([], pa.string()) for n in rows[0]}), path),
    "lists of texts": _columns(text=lambda values: [[each] for each in values]),
}
FAULTS = {"jsonl": tuple(JSONL), "folder": tuple(FOLDER), "parquet": tuple(PARQUET)}


def write_files(form: str, texts: Texts, folder: Path, chance: Chance, fault: str) -> Path:
    """Write a corpus; its path."""
    if form == "folder":
        return _write_folder(texts, folder / "texts", chance, fault)
    rows = [{"source": name, "text": text} for name, own in texts.items() for text in own]
    if chance.happens(0.3):
        rows = [row | {"url": f"https://example.org/{number}"} for number, row in enumerate(rows)]
    path = folder / f"corpus.{form}"
    if form == "jsonl":
        path.write_bytes(JSONL[fault](rows) if fault else json_lines(chance, rows))
    elif fault:
        PARQUET[fault](path, rows)
    else:
        parquet(path, chance, rows)
    return path


def _write_folder(texts: Texts, root: Path, chance: Chance, fault: str) -> Path:
    for name, own in texts.items():
        place = root / name
        for number, text in enumerate(own):
            name = f"{number:03d}" + chance.of([".txt", ".md", "", ".rst", " deeper/text.txt", " a b/c.log"])
            path = place / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encoded(chance, text))
        if chance.happens(0.2):
            (place / ".hidden").write_bytes(b"\0\xff")
    if fault:
        FOLDER[fault](root, root / next(iter(texts)))
    return root
