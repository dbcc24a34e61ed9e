"""What to say of an evaluation of an adopted model: recordings were replayed, or a checkpoint trained further."""

from tribute.config.model import Repetition
from tribute.evaluation.figures import RetrainCounts

TRAININGS: dict[Repetition, str] = {
    "retrained": "retrains",
    "replayed": "replays of the recordings",
    "continued": "further trainings of the checkpoint",
}
"""Trainings without sources, for people."""
MAX_DRIFT = 0.05
"""Largest distance of a replay's end from its recording, as a part of the way, without a warning."""


def adopted_warnings(retrains: RetrainCounts, *, whole: bool) -> list[str]:
    """Warnings about what the trainings of an adopted model without sources can say; none for a retrained one.

    Args:
        whole: whether the simulation replays the whole training, without a source.
    """
    if retrains.repetition == "continued":
        return [
            f"Only a checkpoint is known: it was trained further for {retrains.steps:,} steps, with and without "
            "sources. What its own training would have lost without them was not measured."
        ]
    warnings = []
    if retrains.drift is not None and retrains.drift > MAX_DRIFT:
        warnings.append(
            f"A replay without removal ends {retrains.drift:.1g} of the way from its recording, so losses are "
            "those of a training like the recorded one. Record in float32, or at a lower learning rate."
        )
    if retrains.repetition == "replayed" and whole:
        warnings.append(
            "The simulation replays the whole recordings without each source, as the trainings do that judge it: "
            "its leave-source-out figures compare it with itself."
        )
    return warnings
