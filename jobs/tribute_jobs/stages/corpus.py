"""Stage `corpus`: read the sources and keep a snapshot; other content is another corpus, with its own snapshot."""

from collections.abc import Mapping
from dataclasses import asdict

import pyarrow as pa

from tribute.config import TextCorpusSettings
from tribute.corpus import Corpus, Manifest, SourceExamples, has_snapshot, write_snapshot
from tribute.corpus.readers.text_files import kinds_of_files
from tribute.errors import CorpusChanged
from tribute.ids import ascii_excerpt, look_alikes, short
from tribute_jobs.context import Context, StageOutput
from tribute_jobs.last_run import changes
from tribute_storage import SCHEMAS, claim, open_tables

LISTED_SOURCES = 20
"""Most sources whose held-out part is named one by one."""


def corpus(context: Context) -> StageOutput:
    """Snapshot the corpus as it was checked, and commit `corpus_documents` and `corpus_sources`.

    Raises:
        CorpusChanged: a file changed while it was read.
    """
    run_id = context.runs.corpus_run
    new = not context.lake.committed("corpus_sources", run_id)
    if new or not has_snapshot(context.folder(run_id)):
        context.reporter.started("corpus", run_id)
        content = context.inputs.release_corpus()
        _require_unchanged(context, content)
        claim(context.lake, context.project.name)
        write_snapshot(content, context.folder(run_id))
        _commit(context, run_id, content)
        _warn(context, content)
    return StageOutput(run_id, new, _summary(context, context.manifest()))


def _summary(context: Context, manifest: Manifest) -> str:
    """What was read: sources, tokens, files by kind, and how much of each source is held out."""
    tokens = sum(source.tokens for source in manifest.sources)
    parts = [f"{len(manifest.sources)} sources, {tokens:,} tokens"]
    settings = context.project.corpus
    if isinstance(settings, TextCorpusSettings) and settings.path.is_dir():
        parts.append(kinds_of_files(manifest.inputs.keys() - {"file corpus.duplicates.claims"}))
    with open_tables(context.lake.root, "corpus_sources") as connection:
        held_out = connection.execute(
            "select source_id, held_out_examples / (examples + held_out_examples) from corpus_sources "
            "where run_id = $1 order by source_id",
            [context.runs.corpus_run],
        ).fetchall()
    return "; ".join([*parts, held_out_text(dict(held_out))])


def held_out_text(share_of_source: Mapping[str, float]) -> str:
    """How much of each source is held out; of many sources the least and the most."""
    if not any(share_of_source.values()):
        return "nothing held out"
    ranked = sorted(share_of_source.items(), key=lambda each: each[1])
    if len(ranked) > LISTED_SOURCES:
        (least, low), (most, high) = ranked[0], ranked[-1]
        return f"held out: {low:.1%} ({short(least)}) to {high:.1%} ({short(most)})"
    return f"held out: {', '.join(f'{short(name)} {share:.1%}' for name, share in share_of_source.items())}"


def _require_unchanged(context: Context, content: Corpus) -> None:
    """Check that what was read is what the run id stands for."""
    named = context.runs.corpus.parts.items()
    before = {name: part for name, part in named if name.startswith("file ") or name in content.inputs}
    changed = changes(before, content.inputs)
    if changed:
        raise CorpusChanged(f"The corpus changed while it was read: {changed}. Run the same command again")


def _warn(context: Context, content: Corpus) -> None:
    """Warn about what the operator may know better: which copy was first, and which ids mean one source."""
    present = {each.source.source_id: each for each in content.sources}
    for one, other in look_alikes(present):
        context.reporter.warned(
            f"Sources {ascii_excerpt(one)} and {ascii_excerpt(other)} look alike. Are they one source?"
        )
    if context.project.corpus.held_out:
        for source_id in (name for name, each in present.items() if not len(next(iter(each.held_out.values())))):
            context.reporter.warned(
                f"Source {short(source_id)}: nothing is held out, so no query comes from it. One window would be "
                "more than twice corpus.held_out of its bytes. Give it more text"
            )
    for copy in content.duplicates:
        if copy.source_id != copy.credited_source_id:
            parts = "passages of " if copy.kind == "passage" else ""
            left = "" if copy.source_id in present else "; the source has nothing else to train on"
            context.reporter.warned(
                f"Source {short(copy.source_id)}: {parts}{copy.documents:,} of its documents are credited to "
                f"{short(copy.credited_source_id)}, which claimed them first ({copy.kind} copies){left}"
            )


def _commit(context: Context, run_id: str, content: Corpus) -> None:
    documents = [
        {
            "run_id": run_id,
            "source_id": examples.source.source_id,
            "document_id": document.document_id,
            "sha256": document.sha256,
            "bytes": document.bytes,
            "held_out": document.held_out,
            "version": examples.source.version,
            "license": examples.source.license,
            "place": place,
        }
        for examples in content.sources
        for held_out in (False, True)
        for place, document in enumerate(each for each in examples.documents if each.held_out == held_out)
    ]
    copies = [{"run_id": run_id} | asdict(copy) for copy in content.duplicates]
    context.lake.append("corpus_duplicates", run_id, pa.Table.from_pylist(copies, SCHEMAS["corpus_duplicates"]))
    context.lake.append("corpus_documents", run_id, pa.Table.from_pylist(documents, SCHEMAS["corpus_documents"]))
    sources = [{"run_id": run_id} | _source_row(examples) for examples in content.sources]
    context.lake.append("corpus_sources", run_id, pa.Table.from_pylist(sources, SCHEMAS["corpus_sources"]))


def _source_row(examples: SourceExamples) -> dict[str, object]:
    source = examples.source
    counts = [len(next(iter(part.values()))) for part in (examples.train, examples.held_out)]
    return {
        "source_id": source.source_id,
        "title": source.title,
        "publisher": source.publisher,
        "version": source.version,
        "license": source.license,
        "documents": len(examples.documents),
        "held_out_documents": sum(document.held_out for document in examples.documents),
        "bytes": sum(document.bytes for document in examples.documents),
        "tokens": examples.tokens,
        "eligible_tokens": examples.eligible_tokens,
        "examples": counts[0],
        "held_out_examples": counts[1],
        "sha256": examples.sha256,
    }
