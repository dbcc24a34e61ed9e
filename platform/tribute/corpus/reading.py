"""Reader of corpora of every kind."""

from collections.abc import Sequence
from datetime import date

from tribute.config import (
    ArraysCorpusSettings,
    CorpusSettings,
    CreditingSettings,
    IdxCorpusSettings,
    InstalledDocsSettings,
    TextCorpusSettings,
)
from tribute.corpus.content import corpus_content
from tribute.corpus.crediting.claims import read_claims
from tribute.corpus.crediting.duplicate_examples import credit_examples_once
from tribute.corpus.crediting.duplicates import credit_once
from tribute.corpus.eligibility import eligible_parts
from tribute.corpus.encoding import TextFormat, document_rows, format_of
from tribute.corpus.held_out import split_documents
from tribute.corpus.readers.array_files import hold_out, read_arrays, read_idx_corpus
from tribute.corpus.readers.installed_docs import read_installed_docs
from tribute.corpus.readers.text_files import read_texts
from tribute.corpus.sources import (
    Columns,
    Corpus,
    Document,
    DocumentRecord,
    Duplicates,
    Source,
    SourceExamples,
    text_sha256,
)
from tribute.errors import CorpusError, joined
from tribute.ids import excerpt, listed
from tribute.progress import OnDone, unheard


def read_corpus(settings: CorpusSettings, on_done: OnDone = unheard) -> Corpus:
    """Read and check a whole corpus.

    Args:
        on_done: told how many documents were compared with the others.

    Raises:
        CorpusError: a file, row, column or source is invalid; names it and the remedy.
    """
    dates = _claim_dates(settings.duplicates)
    if isinstance(settings, IdxCorpusSettings | ArraysCorpusSettings):
        arrays = read_idx_corpus(settings) if isinstance(settings, IdxCorpusSettings) else read_arrays(settings)
        duplicates: tuple[Duplicates, ...] = ()
        if settings.duplicates.credit != "off":
            arrays, duplicates = credit_examples_once(arrays, dates)
        sources = [
            _array_source(source_id, arrays[source_id], settings.held_out)
            for source_id in sorted(arrays)
            if len(arrays[source_id]["labels"])
        ]
        return _checked(Corpus(tuple(sources), corpus_content(settings), duplicates))
    if isinstance(settings, InstalledDocsSettings):
        described, texts = read_installed_docs(settings)
    else:
        texts = read_texts(settings)
        described = {source_id: Source(source_id, source_id, source_id) for source_id in texts}
    duplicates = ()
    if settings.duplicates.credit != "off":
        texts, duplicates = credit_once(texts, dates, on_done)
    copied = {each.source_id for each in duplicates if each.credited_source_id != each.source_id}
    eligible, form = eligible_parts(texts), format_of(settings)
    read = {
        source_id: _text_source(described[source_id], texts[source_id], settings, form, eligible[source_id])
        for source_id in sorted(texts)
    }
    empty = [
        f"Source {excerpt(source_id)} is empty: after removing duplicates and held-out text, less than one window "
        f"of {settings.window} {form.encoder.unit} is left. Add text, or remove the source"
        for source_id, source in read.items()
        if not len(source.train["tokens"]) and source_id not in copied
    ]
    if empty:
        raise CorpusError(joined(empty, f"{len(empty)} sources are empty:"))
    sources = [source for source in read.values() if len(source.train["tokens"])]
    return _checked(Corpus(tuple(sources), corpus_content(settings), duplicates))


def _claim_dates(settings: CreditingSettings) -> dict[str, date] | None:
    """Claim dates of sources; None if crediting ignores them."""
    if settings.credit != "first_claimant":
        return None
    return read_claims(settings.claims) if settings.claims else {}


def _text_source(
    source: Source,
    documents: Sequence[Document],
    settings: TextCorpusSettings | InstalledDocsSettings,
    form: TextFormat,
    eligible: float,
) -> SourceExamples:
    train, held_out = split_documents(documents, settings.held_out, form)
    examples = [document_rows(part, form) for part in (train, held_out)]
    held = {document.document_id for document in held_out}
    records = tuple(
        DocumentRecord(d.document_id, text_sha256([d.text]), len(d.text.encode()), d.document_id in held)
        for d in (*train, *held_out)
    )
    return SourceExamples(source, examples[0], examples[1], records, eligible)


def _array_source(source_id: str, columns: Columns, part: float) -> SourceExamples:
    train, held_out = hold_out(source_id, columns, part) if part else (columns, _none_of(columns))
    whole = SourceExamples(Source(source_id, source_id, source_id), columns, {}, ())
    size = sum(values.nbytes for values in columns.values())
    record = DocumentRecord("examples", whole.sha256, size, held_out=False)
    return SourceExamples(whole.source, train, held_out, (record,))


def _none_of(columns: Columns) -> Columns:
    return {name: values[:0] for name, values in columns.items()}


def _checked(corpus: Corpus) -> Corpus:
    if len(corpus.sources) < 2:
        found = listed(each.source.source_id for each in corpus.sources)
        raise CorpusError(f"A corpus needs at least two sources, this one has: {found}. Add a source")
    return corpus
