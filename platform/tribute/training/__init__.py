"""Training as a pure function of state, batch and weights, and its recording."""

from tribute.training.recipe import NonFinite, Recipe
from tribute.training.schedules import BatchOrder, horizon_start, learning_rates
from tribute.training.step import State, advance
from tribute.training.training_set import TrainingSet
from tribute.training.trajectory import Trajectory, checkpoint_steps, record

__all__ = [
    "BatchOrder",
    "NonFinite",
    "Recipe",
    "State",
    "TrainingSet",
    "Trajectory",
    "advance",
    "checkpoint_steps",
    "horizon_start",
    "learning_rates",
    "record",
]
