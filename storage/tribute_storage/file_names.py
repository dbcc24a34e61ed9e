"""What a file is called after an id, which may be any text."""

import hashlib
from urllib.parse import quote

LONGEST = 180
"""Characters. A file name has 255 bytes, some for its suffix and for the marks of a temporary file."""

_DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(10))}


def file_stem(name: str) -> str:
    """What a file is called after an id, without suffix: no two ids share one, and none leads out of a folder.

    Letters and digits of ASCII and some marks stay, all else is percent-encoded. Where there are capitals, `%=`
    and their places, as bits of a hexadecimal number, follow: file systems may ignore case. A long name keeps its
    beginning and gets its hash.
    """
    stem = quote(name, safe=" &'()+,=@")
    capitals = sum(1 << place for place, letter in enumerate(name) if "A" <= letter <= "Z")
    stem += f"%={capitals:x}" if capitals else ""
    if len(stem) > LONGEST:
        return f"{stem[:100]}%-{hashlib.sha256(name.encode()).hexdigest()[:32]}"
    if stem.startswith("."):
        return f"%2E{stem[1:]}"
    return f"%{stem}" if stem.partition(".")[0].strip().lower() in _DEVICES else stem
