"""The finding of a check: a value to read and weigh, not an error."""

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True)
class Finding:
    """A code for machines, whom or what it is about, a sentence for people, and the figure behind it, if any."""

    code: str
    subject: str
    text: str
    figure: Fraction | None = None
