"""How the parameters would have moved without a source."""

from tribute.simulation.artifacts import Replicate, Simulated
from tribute.simulation.course import Course, onward, replay, start_of
from tribute.simulation.design import Design, design_of, drawn_units
from tribute.simulation.engine import Mode, build_course, build_mode, simulate
from tribute.simulation.grouping import Tree, sketches, ward_tree
from tribute.simulation.memory import largest_chunk, trajectory_bytes
from tribute.simulation.paired import Paired
from tribute.simulation.patch import patch_responses
from tribute.simulation.recorded import corpus_tokens, recorded_replicates, simulated_responses
from tribute.simulation.response import ResponseFile, check_file, relative_change, write_response
from tribute.simulation.stack import Responses, Stack
from tribute.simulation.tangent import Tangent
from tribute.simulation.units import Unit, change_matrix, single_units

__all__ = [
    "Course",
    "Design",
    "Mode",
    "Paired",
    "Replicate",
    "ResponseFile",
    "Responses",
    "Simulated",
    "Stack",
    "Tangent",
    "Tree",
    "Unit",
    "build_course",
    "build_mode",
    "change_matrix",
    "check_file",
    "corpus_tokens",
    "design_of",
    "drawn_units",
    "largest_chunk",
    "onward",
    "patch_responses",
    "recorded_replicates",
    "relative_change",
    "replay",
    "simulate",
    "simulated_responses",
    "single_units",
    "sketches",
    "start_of",
    "trajectory_bytes",
    "ward_tree",
    "write_response",
]
