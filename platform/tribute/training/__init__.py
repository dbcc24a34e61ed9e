"""Training as a pure function of state, batch and weights; recording and replay of trainings."""

from tribute.training.adoption import (
    Drift,
    adopt,
    distance_to_end,
    fitting_recording,
    load_checkpoint,
    replay_drift,
    replays_end,
)
from tribute.training.recipe import NonFinite, Recipe
from tribute.training.recorder import Recorder
from tribute.training.recording import recorded_training
from tribute.training.schedules import BatchOrder, Order, horizon_start
from tribute.training.step import MicroBatch, State, UpdateRule, advance, advance_tangents, gradient
from tribute.training.stored_model import build_model
from tribute.training.trainer.rows import TrainerRows
from tribute.training.training_set import TrainingSet, mapped_training_set, snapshot_training_set, training_set
from tribute.training.trajectory import Trajectory, checkpoint_steps, record

__all__ = [
    "BatchOrder",
    "Drift",
    "MicroBatch",
    "NonFinite",
    "Order",
    "Recipe",
    "Recorder",
    "State",
    "TrainerRows",
    "TrainingSet",
    "Trajectory",
    "UpdateRule",
    "adopt",
    "advance",
    "advance_tangents",
    "build_model",
    "checkpoint_steps",
    "distance_to_end",
    "fitting_recording",
    "gradient",
    "horizon_start",
    "load_checkpoint",
    "mapped_training_set",
    "record",
    "recorded_training",
    "replay_drift",
    "replays_end",
    "snapshot_training_set",
    "training_set",
]
