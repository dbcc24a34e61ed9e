"""What a part of a drawn project is: what was drawn, what is wrong with it, and a check against an oracle."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

LONGEST_EXCERPT = 90
"""Characters of anybody's text, with the marks around them, that a refusal may show."""


class Wrong(AssertionError):
    """A value that the oracle does not confirm."""


@dataclass
class Part(ABC):
    """A drawn part of a project.

    Attributes:
        kinds: what was drawn, in words.
        fault: what is wrong with the input, in words; empty: nothing, and the part must be right.
        private: texts of others that no message may show at length.
    """

    kinds: list[str] = field(default_factory=list)
    fault: str = ""
    private: list[str] = field(default_factory=list)

    @abstractmethod
    def check(self, folder: Path) -> None:
        """Run the product on the part, in a folder of its own, and compare with the oracle.

        Raises:
            Wrong: a value is not that of the oracle.
            TributeError: the product refuses the input.
        """


def require(condition: object, what: str) -> None:
    """Raise unless a condition holds.

    Raises:
        Wrong: it does not.
    """
    if not condition:
        raise Wrong(what)


def require_close(found: object, expected: object, tolerance: float, what: str) -> None:
    """Raise unless arrays are equal up to a tolerance, as a part of the largest expected number, or of 1.

    Raises:
        Wrong: they are not; says by how much.
    """
    one, other = np.asarray(found, dtype=np.float64), np.asarray(expected, dtype=np.float64)
    require(one.shape == other.shape, f"{what}: shape {one.shape}, expected {other.shape}")
    bound = tolerance * (1 + float(np.abs(other).max(initial=0)))
    apart = float(np.abs(one - other).max(initial=0)) if np.isfinite(one).all() else np.inf
    require(apart <= bound, f"{what}: {one.ravel()[:6]}, expected {other.ravel()[:6]} (apart {apart:.3g})")
