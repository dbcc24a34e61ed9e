"""The files of a settlement: every statement and the period, in all formats."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from tribute.royalty.document import Statement
from tribute.royalty.exact import Finding
from tribute.royalty.render import period_csv, period_xlsx, render_html, render_pdf, render_report
from tribute_storage.atomic import write_atomically
from tribute_storage.file_names import file_stem

OF_PERIOD = ("bundle", "period", "report")
"""File names that no publisher may take."""

Rendering = tuple[str, Callable[[], bytes]]


def write_files(folder: Path, statements: Sequence[Statement], findings: Sequence[Finding] = ()) -> None:
    """Write the statements of the lake as files; existing files are kept."""
    for name, render in (*_of_period(statements, findings), *_of_statements(statements)):
        if not (folder / name).exists():
            write_atomically(folder / name, render())


def _of_period(statements: Sequence[Statement], findings: Sequence[Finding]) -> Iterator[Rendering]:
    yield "period.csv", lambda: period_csv(statements).encode()
    yield "period.xlsx", partial(period_xlsx, statements)
    yield "report.html", lambda: render_report(statements, findings=findings).encode()


def _of_statements(statements: Sequence[Statement]) -> Iterator[Rendering]:
    many = len({statement.currency for statement in statements}) > 1
    for statement in statements:
        name = file_stem(statement.publisher_id)
        name += f"-{statement.currency}" if many else "%" * (name in OF_PERIOD)
        yield f"{name}.json", statement.canonical
        yield f"{name}.html", partial(_html, statement)
        yield f"{name}.pdf", partial(render_pdf, statement)


def _html(statement: Statement) -> bytes:
    return render_html(statement).encode()
