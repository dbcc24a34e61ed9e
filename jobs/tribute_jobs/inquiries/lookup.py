"""Finds lines and statements by id, and suggests near ids."""

from typing import NamedTuple

from tribute.config import Project
from tribute.errors import MoneyError
from tribute.ids import SHOWN, excerpt, listed, nfc
from tribute.royalty.document import Statement, StatementLine, read_statement
from tribute_storage import open_tables


class Issued(NamedTuple):
    """A statement in the lake, and the line of it that was asked for; None: the whole statement."""

    statement: Statement
    line: StatementLine | None
    run_id: str
    committed: str


def find_issued(project: Project, about: str, statements: bool = True) -> Issued:
    """The statement or line of an id: of a line, of a statement, or STATEMENT_ID:SOURCE_ID, as statements print.

    Args:
        statements: whether whole statements will do; otherwise a statement of one line stands for it.

    Raises:
        MoneyError: there is none, or several lines fit; names them, or the nearest.
    """
    about = nfc(about)
    with open_tables(project.lake_root, "statements", "statement_lines") as connection:
        rows = connection.execute(
            "select s.json, s.run_id, strftime(r.committed_at, '%Y-%m-%dT%H:%M:%SZ') from statements s "
            "join runs r on r.run_id = s.run_id and r.table_name = 'statements' where s.statement_id = $1 or "
            "exists (from statement_lines l where $1 in (l.line_id, l.statement_id || ':' || l.source_id) "
            "and l.statement_id = s.statement_id and l.run_id = s.run_id) order by r.committed_at desc limit 1",
            [about],
        ).fetchall()
    if rows:
        text, run_id, committed = rows[0]
        statement = read_statement(text)
        lines = [each for each in statement.lines if each.line_id == about]
        lines = lines or [each for each in statement.lines if _fits(about, statement, each)]
        if len(lines) == 1 or (statements and about == statement.statement_id):
            line = None if statements and about == statement.statement_id else lines[0]
            return Issued(statement, line, run_id, committed)
        named = listed((each.line_id for each in lines or statement.lines), characters=SHOWN)
        raise MoneyError(f"{excerpt(about)} has {len(lines)} lines. Name one of them: {named}")
    what = "line or statement" if statements else "line"
    raise MoneyError(f"No {what} is called {excerpt(about)}. {_near(project, about, statements)}")


def _fits(about: str, statement: Statement, line: StatementLine) -> bool:
    own = statement.statement_id
    return about in (line.line_id, own, f"{own}:{line.source_id}" if line.source_id else own)


def _near(project: Project, about: str, statements: bool) -> str:
    ids = "select line_id as id from statement_lines" + (
        " union select statement_id from statements" if statements else ""
    )
    with open_tables(project.lake_root, "statements", "statement_lines") as connection:
        rows = connection.execute(
            f"select id from ({ids}) group by id order by jaro_winkler_similarity(id, $1) desc, id limit 3",
            [about],
        ).fetchall()
    if not rows:
        return "No period is settled yet: tribute run PROJECT.yaml"
    return f"Did you mean {listed((each for (each,) in rows), characters=SHOWN)}?"
