"""The files of a settlement: every statement and the period, in all formats."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from tribute.files.digests import file_sha256
from tribute.progress import Reporter
from tribute.royalty.document import Statement
from tribute.royalty.exact import Finding
from tribute.royalty.render import period_csv, period_xlsx, render_html, render_pdf, render_report
from tribute_storage.atomic import write_atomically
from tribute_storage.file_names import file_stem

OF_PERIOD = ("bundle", "period", "report")
"""File names that no publisher may take."""

SUMS = "SHA256SUMS"
"""Names the digest of every file of a version, as `sha256sum` does."""

Rendering = tuple[str, Callable[[], bytes]]


def write_files(
    folder: Path, statements: Sequence[Statement], reporter: Reporter, findings: Sequence[Finding] = ()
) -> None:
    """Write the statements of the lake as files, then their digests as `SHA256SUMS`; existing files are kept."""
    sums, files = recorded_sums(folder), [*_of_period(statements, findings), *_of_statements(statements)]
    reporter.working("files of statements")
    for number, (name, render) in enumerate(files, 1):
        if not (folder / name).exists():
            content = render()
            write_atomically(folder / name, content)
            sums[name] = hashlib.sha256(content).hexdigest()
        elif name not in sums:  # the writing was interrupted, or an earlier release wrote it
            sums[name] = file_sha256(folder / name)
        reporter.advanced(number, len(files))
    if sums != recorded_sums(folder):
        text = "".join(f"{sha256}  {name}\n" for name, sha256 in sorted(sums.items()))
        write_atomically(folder / SUMS, text.encode())


def file_names(accounts: Sequence[tuple[str, str]]) -> list[str]:
    """The names of the files of a version, by publisher id and currency of its statements."""
    many = len({currency for _, currency in accounts}) > 1
    stems = [_stem(*account, many) for account in accounts]
    of_period = ("period.csv", "period.xlsx", "report.html")
    return [*of_period, *(f"{stem}.{kind}" for stem in stems for kind in ("json", "html", "pdf"))]


def recorded_sums(folder: Path) -> dict[str, str]:
    """SHA-256 of the files of a version, by name, from the file that `sha256sum -c` reads; empty without one."""
    try:
        lines = (folder / SUMS).read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return {}
    return {name: sha256 for sha256, _, name in (line.partition("  ") for line in lines) if name}


def _of_period(statements: Sequence[Statement], findings: Sequence[Finding]) -> Iterator[Rendering]:
    yield "period.csv", lambda: period_csv(statements).encode()
    yield "period.xlsx", partial(period_xlsx, statements)
    yield "report.html", lambda: render_report(statements, findings=findings).encode()


def _of_statements(statements: Sequence[Statement]) -> Iterator[Rendering]:
    many = len({statement.currency for statement in statements}) > 1
    for statement in statements:
        name = _stem(statement.publisher_id, statement.currency, many)
        yield f"{name}.json", statement.canonical
        yield f"{name}.html", partial(_html, statement)
        yield f"{name}.pdf", partial(render_pdf, statement)


def _stem(publisher_id: str, currency: str, many: bool) -> str:
    stem = file_stem(publisher_id)
    return stem + (f"-{currency}" if many else "%" * (stem in OF_PERIOD))


def _html(statement: Statement) -> bytes:
    return render_html(statement).encode()
