"""Simulated responses: how far the final parameters depend on the weight of each source."""

from tribute.simulation.artifacts import Replicate, Simulated
from tribute.simulation.design import Design, design_of, drawn_units
from tribute.simulation.engine import Mode, build_mode, build_schedule, simulate
from tribute.simulation.ensemble import Ensemble, Responses
from tribute.simulation.grouping import WardTree, sketches, ward_tree
from tribute.simulation.memory import GIB, Bill, Fit, bill, fit
from tribute.simulation.metering import MemoryMeter
from tribute.simulation.paired import Paired
from tribute.simulation.replay_schedule import start_of
from tribute.simulation.response import (
    ResponseFile,
    patch_responses,
    relative_change,
    write_response,
)
from tribute.simulation.retrained import Retrained, unperturbed
from tribute.simulation.units import Unit, change_matrix, leave_one_out_units

__all__ = [
    "GIB",
    "Bill",
    "Design",
    "Ensemble",
    "Fit",
    "MemoryMeter",
    "Mode",
    "Paired",
    "Replicate",
    "ResponseFile",
    "Responses",
    "Retrained",
    "Simulated",
    "Unit",
    "WardTree",
    "bill",
    "build_mode",
    "build_schedule",
    "change_matrix",
    "design_of",
    "drawn_units",
    "fit",
    "leave_one_out_units",
    "patch_responses",
    "relative_change",
    "simulate",
    "sketches",
    "start_of",
    "unperturbed",
    "ward_tree",
    "write_response",
]
