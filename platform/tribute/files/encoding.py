"""Bytes of a text file as text: UTF-8, or UTF-16 with its mark."""

import codecs

_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def decoded(content: bytes) -> str:
    """The text, without its byte order mark.

    Raises:
        ValueError: another encoding; names the line and the byte.
    """
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), "utf-8")
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ValueError(f"line {line}: byte {content[error.start]:#04x} is not UTF-8. Save it as UTF-8") from None
