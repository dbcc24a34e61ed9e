"""Versions of a month that two runs issued as final: found, and repaired by declaring one of the runs void."""

from tribute_jobs.reversal.double_finals import DoubleFinal, double_finals, require_single_finals
from tribute_jobs.reversal.reversing import Reversal, reverse

__all__ = ["DoubleFinal", "Reversal", "double_finals", "require_single_finals", "reverse"]
