"""Equations set as HTML: `_x` or `_{...}` lowers, `^x` or `^{...}` raises; no script, no font from elsewhere."""

import re
from html import escape

BLOCK = re.compile(r"^``` \{ \.text \.equation \}\n(.*?)\n```$", re.DOTALL | re.MULTILINE)
SHIFT = re.compile(r"([_^])(?:\{([^{}]*)\}|(\w))")
TAGS = {"_": "sub", "^": "sup"}


def with_equations(markdown: str) -> str:
    """The page with its equation blocks as HTML."""
    return BLOCK.sub(lambda block: f'<div class="equation" markdown="0">{equation(block[1])}</div>', markdown)


def equation(text: str) -> str:
    """HTML of an equation, line by line; runs of blanks keep their width."""

    def shifted(match: re.Match[str]) -> str:
        tag = TAGS[match[1]]
        return f"<{tag}>{match[2] if match[2] is not None else match[3]}</{tag}>"

    lines = [SHIFT.sub(shifted, escape(line)) for line in text.split("\n")]
    return "<br>".join(line.replace("  ", "&emsp;") for line in lines)
