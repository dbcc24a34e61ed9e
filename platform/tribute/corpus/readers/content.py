"""The text of a document from the row of a file: text, a prompt with its completion, or a chat."""

from collections.abc import Mapping
from pathlib import Path

from tribute.config import TextCorpusSettings
from tribute.corpus.encoding import Encoder
from tribute.corpus.readers.rows import Row, text_cell
from tribute.corpus.sources import Spans
from tribute.errors import CorpusError
from tribute.ids import excerpt


def read_content(
    path: Path, number: int, row: Row, settings: TextCorpusSettings, encoder: Encoder
) -> tuple[str, Spans | None]:
    """The text of a row, and the characters of it that are predicted; None: all of them.

    A row without a prompt is a plain document.

    Raises:
        CorpusError: a cell is wrong; names file, row and column.
    """
    if settings.messages_column is not None:
        return _chat(path, number, row, settings.messages_column, encoder)
    text = text_cell(path, number, row, settings.content_columns[-1])
    if settings.prompt_column is None or row[settings.prompt_column] in (None, ""):
        return text, None
    prompt = text_cell(path, number, row, settings.prompt_column)
    return prompt + text, ((len(prompt), len(prompt) + len(text)),)


def _chat(path: Path, number: int, row: Row, column: str, encoder: Encoder) -> tuple[str, Spans]:
    messages, where = row[column], f"{path}, row {number}: column {column!r}"
    if not isinstance(messages, list) or not messages:
        raise CorpusError(f"{where} is {excerpt(messages)}, expected a list of messages. Correct or drop the row")
    for place, message in enumerate(messages, 1):
        if not isinstance(message, Mapping) or not all(
            isinstance(message.get(name), str) for name in ("role", "content")
        ):
            raise CorpusError(
                f"{where}, message {place} is {excerpt(message)}, expected role and content, both text. Correct "
                "or drop the row"
            )
        if any("\ud800" <= character <= "\udfff" for character in message["content"]):
            raise CorpusError(
                f"{where}, message {place} holds half a character (a lone surrogate). Correct the row"
            )
    try:
        return encoder.render(messages)
    except CorpusError as problem:
        raise CorpusError(f"{where}: {problem}") from None
