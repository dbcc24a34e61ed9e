"""What judges an adopted model, and what to say of it: recordings were replayed, or a checkpoint trained further.

Legend: R replicates.
"""

import numpy as np
from numpy.typing import NDArray

from tribute.config import EvaluationSettings, TrainingSettings
from tribute.evaluation.figures import RetrainCounts
from tribute.royalty.document import repetition_words

MAX_DRIFT = 0.05
"""Largest distance of a replay's end from its recording, as a part of the way, without a warning."""


def judging_seeds(training: TrainingSettings, settings: EvaluationSettings) -> list[int]:
    """The estimates' own seed, then those of the ground truth: of other recordings, or of the evaluation."""
    others = range(settings.first_seed, settings.first_seed + settings.seeds)
    if training.repetition == "replayed":
        others = range(1, training.replicates)
    return [training.seed + index for index in (0, *others)]


def unseen(influence_R: NDArray[np.float32]) -> NDArray[np.float32]:
    """The replicates without the second, of whose recording the losses of another seed are, [R, ...].

    A single one is the first, or of an estimator that knows no model.
    """
    return np.delete(influence_R, 1, axis=0) if len(influence_R) > 1 else influence_R


def adopted_warnings(retrains: RetrainCounts, *, whole: bool) -> list[str]:
    """Warnings about what the trainings of an adopted model without sources can say; none for a retrained one.

    Args:
        whole: whether the simulation replays the whole training, without a source.
    """
    if retrains.repetition == "continued":
        return [
            f"{repetition_words(retrains.repetition).meaning} Its further trainings had {retrains.steps:,} steps."
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
