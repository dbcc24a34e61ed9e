"""Fonts of the PDF: DejaVu, embedded, from the files that matplotlib installs, which is not imported.

Chinese, Japanese and Korean characters that DejaVu lacks use a standard font of the reader, not embedded.
"""

from functools import lru_cache
from html import escape
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path

from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.pdfmetrics import getFont, registerFont, registerFontFamily
from reportlab.pdfbase.ttfonts import TTFont

from tribute.errors import MoneyError

REGULAR, BOLD, MONO = "TributeSans", "TributeSans-Bold", "TributeMono"
_FILES = {REGULAR: "DejaVuSans.ttf", BOLD: "DejaVuSans-Bold.ttf", MONO: "DejaVuSansMono.ttf"}
_ASIAN = ("HeiseiKakuGo-W5", "HYGothic-Medium", "STSong-Light")


@lru_cache(maxsize=1)
def register() -> None:
    """Tell reportlab where the fonts are, once a process."""
    matplotlib = find_spec("matplotlib")
    if matplotlib is None or matplotlib.origin is None:
        raise MoneyError(
            "PDF statements need the fonts that matplotlib installs. Install it: pip install matplotlib"
        )
    folder = Path(matplotlib.origin).parent / "mpl-data" / "fonts" / "ttf"
    for name, file in _FILES.items():
        registerFont(TTFont(name, str(folder / file)))
    registerFontFamily(REGULAR, normal=REGULAR, bold=BOLD, italic=REGULAR, boldItalic=BOLD)
    for name in _ASIAN:
        registerFont(UnicodeCIDFont(name))


def font_for(text: str, wanted: str = REGULAR) -> str:
    """The wanted font, or one of Japanese, Korean or Chinese if it lacks a character of the text."""
    lacking = [each for each in text if ord(each) not in getFont(wanted).face.charToGlyph]
    return _asian(lacking[0]) or wanted if lacking else wanted


def marked_up(text: str, wanted: str = REGULAR) -> str:
    """Text of others, escaped for a reportlab paragraph, with a font for every character that has one."""
    runs = [(font, "".join(run)) for font, run in groupby(text, lambda each: font_for(each, wanted))]
    return "".join(
        escape(run) if font == wanted else f'<font face="{font}">{escape(run)}</font>' for font, run in runs
    )


def _asian(character: str) -> str:
    point = ord(character)
    if 0x3040 <= point <= 0x30FF:
        return _ASIAN[0]
    if 0x1100 <= point <= 0x11FF or 0xAC00 <= point <= 0xD7AF:
        return _ASIAN[1]
    return _ASIAN[2] if 0x3000 <= point <= 0x9FFF or 0xFF00 <= point <= 0xFFEF else ""
