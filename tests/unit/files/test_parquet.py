"""Parquet as Hive, Impala and old Spark write it, without the mark of UTF-8: read as text, or refused."""

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tribute.config import ArraysCorpusSettings, TextCorpusSettings, load_project
from tribute.corpus.crediting.claims import read_claims
from tribute.corpus.readers.array_files import read_arrays
from tribute.corpus.readers.text_files import read_texts
from tribute.corpus.readers.usage import usage_queries
from tribute.errors import TributeError
from tribute.files.parquet import read_parquet
from tribute.royalty.terms.agreements import read_agreements
from tribute.royalty.terms.licences import read_terms
from tribute.royalty.terms.rights_file import read_rights
from tribute_jobs.period.terms import customer_fees

AS_BYTES = [
    pa.binary(),
    pa.large_binary(),
    pa.binary(4),
    pa.binary_view(),
    pa.dictionary(pa.int32(), pa.binary()),
]
Columns = dict[str, list]


def written(folder: Path, columns: Columns, kind: pa.DataType, name: str = "rows.parquet") -> Path:
    """A file whose columns of four letters are of a kind of bytes."""
    arrays = {}
    for column, values in columns.items():
        texts = all(isinstance(value, str) for value in values)
        bytes_of = pa.array([value.encode("latin-1") for value in values] if texts else values)
        if texts and pa.types.is_dictionary(kind):
            bytes_of = bytes_of.dictionary_encode()
        elif texts:
            bytes_of = bytes_of.cast(pa.binary() if pa.types.is_fixed_size_binary(kind) else kind)
        if texts and pa.types.is_fixed_size_binary(kind) and {len(value) for value in values} == {4}:
            bytes_of = bytes_of.cast(kind)
        arrays[column] = bytes_of
    pq.write_table(pa.table(arrays), folder / name)
    return folder / name


def fees(path: Path) -> object:
    project = path.with_name("project.yaml")
    project.write_text(f"name: p\ncorpus: {{kind: text, path: c}}\nmoney: {{fees: {path.name}}}\n")
    return customer_fees(load_project(project))


READERS: dict[str, tuple[Columns, Callable[[Path], object], Callable[[object], object], object]] = {
    "rights": (
        {"source_id": ["src1", "src2"], "publisher_id": ["alfa", "beta"], "split": ["1.00", "1.00"]},
        lambda path: read_rights(path, None),
        lambda book: [right.publisher_id for right in book.rights],
        ["alfa", "beta"],
    ),
    "publishers": (
        {"publisher_id": ["alfa", "beta"], "name": ["Alfa", "Beta"]},
        lambda path: read_rights(
            written(path.parent, {"source_id": ["src1"], "publisher_id": ["alfa"]}, pa.string(), "s.parquet"), path
        ),
        lambda book: [publisher.name for publisher in book.publishers],
        ["Alfa", "Beta"],
    ),
    "agreements": (
        {"publisher_id": ["alfa"], "currency": ["EUR"], "rate": ["0.75"]},
        read_agreements,
        lambda found: [(each.publisher_id, str(each.rate)) for each in found],
        [("alfa", "3/4")],
    ),
    "terms": (
        {"source_id": ["src1"], "license": ["0BSD"]},
        read_terms,
        lambda found: [each.license for each in found.values()],
        ["0BSD"],
    ),
    "fees": ({"customer_id": ["cust"], "fee": ["1.50"]}, fees, dict, {"cust": 1.5}),
    "claims": (
        {"source_id": ["src1"], "claimed": ["2026-10-01"]},
        read_claims,
        dict,
        {"src1": date(2026, 10, 1)},
    ),
    "corpus": (
        {"source": ["src1"], "text": ["text"]},
        lambda path: read_texts(TextCorpusSettings(kind="text", path=path)),
        lambda found: {source: [each.text for each in documents] for source, documents in found.items()},
        {"src1": ["text"]},
    ),
    "arrays": (
        {"source": ["src1"], "features": [[1.0, 2.0]], "label": [3]},
        lambda path: read_arrays(ArraysCorpusSettings(kind="arrays", path=path)),
        lambda found: {source: columns["labels"].tolist() for source, columns in found.items()},
        {"src1": [3]},
    ),
    "usage": (
        {"query_id": ["use1"], "text": ["text"], "time": ["2026-10-05T12:00:00Z"], "customer_id": ["cust"]},
        lambda path: usage_queries(path, 17),
        lambda queries: (list(queries.query_ids), list(queries.customers)),
        (["use1"], ["cust"]),
    ),
}


@pytest.mark.parametrize("kind", AS_BYTES, ids=str)
@pytest.mark.parametrize("what", READERS)
def test_bytes_are_read_as_text_by_every_reader(tmp_path: Path, what: str, kind: pa.DataType) -> None:
    columns, read, seen, expected = READERS[what]
    path = written(tmp_path, columns, kind)
    assert any("binary" in str(field.type) for field in pq.read_schema(path))
    assert seen(read(path)) == expected


@pytest.mark.parametrize("what", READERS)
def test_bytes_that_are_no_utf8_are_refused_by_every_reader(tmp_path: Path, what: str) -> None:
    columns, read, _, _ = READERS[what]
    first = next(iter(columns))
    path = written(tmp_path, columns | {first: ["\xff\xfe\xfd\xfc"] * len(columns[first])}, pa.binary())
    with pytest.raises(TributeError, match=f"column '{first}' holds bytes that are not UTF-8. Write it as text"):
        read(path)


def test_other_columns_are_as_they_were(tmp_path: Path) -> None:
    table = pa.table({"text": ["é"], "number": [1.5], "list": [[1, 2]]})
    pq.write_table(table, tmp_path / "t.parquet")
    assert read_parquet(tmp_path / "t.parquet").equals(table)
