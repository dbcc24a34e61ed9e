"""How the parameters would have moved without a source."""

from tribute.simulation.paired import Responses, paired
from tribute.simulation.recorded import Replicate, ResponseFile, recorded_replicates, simulated_responses

__all__ = [
    "Replicate",
    "ResponseFile",
    "Responses",
    "paired",
    "recorded_replicates",
    "simulated_responses",
]
