"""How the parameters would have moved without a source."""

from tribute.simulation.paired import Responses, paired
from tribute.simulation.recorded import Replicate, recorded_replicates, simulated_responses
from tribute.simulation.response import ResponseFile, write_response

__all__ = [
    "Replicate",
    "ResponseFile",
    "Responses",
    "paired",
    "recorded_replicates",
    "simulated_responses",
    "write_response",
]
