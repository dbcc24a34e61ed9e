"""Read-outs at the price of a block: the trunk of a model and its head run once for all sources."""

from tribute.readout.block.division import ModelDivision, Sections
from tribute.readout.block.find import find_section
from tribute.readout.block.section import Measure, Pieces, RecordedPass, ScopeSection, repeated
from tribute.readout.block.softmax import Followed, SoftmaxHead

__all__ = [
    "Followed",
    "Measure",
    "ModelDivision",
    "Pieces",
    "RecordedPass",
    "ScopeSection",
    "Sections",
    "SoftmaxHead",
    "find_section",
    "repeated",
]
