"""Ids as people and attackers write them."""

import unicodedata

from tests.fuzz.chance import Chance

PLAIN = ("daily", "recipes", "sports", "weather", "the news", "No. 7", "a", "Søren & Co", "éditions", "notes-2026")
PATHS = (
    "..", ".", "../escaped", "../../escaped", "../../../escaped", "../../../../escaped", "../../../../../escaped",
    "../../../../../../escaped", "/proc/escaped/x", "a/b", "a/b/../../../../c", "..\\..\\escaped", "C:\\escaped",
    "~/escaped", "file:///escaped", "con", "NUL.txt", ".hidden", "a%2Fb", "%2E%2E%2Fescaped", "x/", "./x",
)  # fmt: skip
MARKUP = (
    "[bold red]x[/]", "[/]", "<script>alert(1)</script>", "{{7*7}}", "%s%n", "$(touch escaped)", "`id`",
    "'; drop table runs; --", '"quoted"', "=1+1", "@SUM(A1)", "-rf", "--help", "a,b", "a;b",
    "&amp;", "# heading", "null", "true", "010000", "1e5", "2026-10-01", "12:30", "nan",
)  # fmt: skip
UNICODE = (
    "新聞社", "газета", "ψηφιακό", "عربى", "עברית", "🗞️ news", "e\u0301dition", "ﬁle", "ａｂｃ", "a\u200db", "Å",
    "A\u030a", "\u1e9b\u0323", "naïve café", "ŉ", "한국어", "ไทย", "𝔘𝔫𝔦",
)  # fmt: skip
LONG = ("long " * 200, "x" * 1024, "語" * 300, "…" * 255, "a/" * 300)
UNPRINTABLE = {
    "a NUL": "a\0b",
    "a line feed": "a\nb",
    "a carriage return": "a\rb",
    "a tab": "a\tb",
    "an escape": "\x1b[31mred",
    "a bell": "a\x07",
    "a C1 control": "a\x9bb",
    "a bidirectional override": "a\u202egpj.exe",
    "a bidirectional isolate": "a\u2066b\u2069",
    "a right-to-left mark": "a\u200fb",
    "a line separator": "a\u2028b",
    "a private character": "a\ue000",
    "a noncharacter": "a\uffff",
    "only spaces": "   ",
    "only a zero-width space": "\u200b",
    "nothing": "",
    "1,025 characters": "x" * 1025,
}
LOOK_ALIKES = (
    ("Planet", "planet"),
    ("paper", "рареr"),  # Cyrillic
    ("press", "press\u200b"),
    ("file", "ﬁle"),
    ("a b", "a\u00a0b"),
    ("north-west", "north\u2010west"),
    ("O'Neil", "O\u2019Neil"),
    ("STRASSE", "straße"),
)
_KINDS = {"plain": PLAIN, "paths": PATHS, "markup": MARKUP, "unicode": UNICODE, "long": LONG}


def canonical(name: str) -> str:
    """An id as the product keeps it."""
    return unicodedata.normalize("NFC", name.strip())


def drawn_ids(chance: Chance, count: int, odd: float = 0.5) -> list[str]:
    """Different ids, odd ones with a probability; no two are the same after normalisation, or look alike."""
    found: dict[str, str] = {}
    while len(found) < count:
        kind = chance.of(_KINDS) if chance.happens(odd) else "plain"
        name = chance.of(_KINDS[kind])
        if chance.happens(0.1):
            name = f" {name}  "
        found.setdefault(_resemblance(name), name)
    return list(found.values())


def _resemblance(name: str) -> str:
    return (
        "".join(unicodedata.normalize("NFKC", name).casefold().split()).replace("\u200d", "").replace("\u030a", "")
    )


def folder_names(chance: Chance, count: int) -> list[str]:
    """Different ids that a folder can be called by."""
    fitting = [
        name
        for name in (*PLAIN, *MARKUP, *UNICODE)
        if "/" not in name and not name.startswith((".", " ")) and len(name.encode()) < 200
    ]
    found: dict[str, str] = {}
    while len(found) < count:
        name = canonical(chance.of(fitting))
        found.setdefault(_resemblance(name), name)
    return list(found.values())
