"""Versions of a month that two runs issued as final: found, and repaired by declaring one of the runs void."""

from typing import TYPE_CHECKING

from tribute_jobs.reversal.doubles import DoubleFinal, double_finals, require_single_finals
from tribute_storage.first_use import first_use

if TYPE_CHECKING:
    from tribute_jobs.reversal.reversing import Reversal, reverse

__all__ = ["DoubleFinal", "Reversal", "double_finals", "require_single_finals", "reverse"]

__getattr__ = first_use(__name__, {"reversing": ["Reversal", "reverse"]})
