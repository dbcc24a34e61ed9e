"""What a study trained."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tribute.study.plots import bars
from tribute.study.table import Result, Row
from tribute.training import replays_end

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, repr=False)
class TrainingReport(Result):
    """The trained replicates: seed, steps, parameters and final loss of each."""

    trained: tuple[dict[str, Any], ...]

    @property
    def steps(self) -> int:
        """Steps of each training; 0 for a checkpoint."""
        return int(self.trained[0]["steps"])

    @property
    def title(self) -> str:
        """How many replicates, how long they were trained, and how exactly recordings were replayed."""
        return f"{len(self.trained)} replicate(s), {self.steps} steps each; loss in nats{replays_end(self.drift)}"

    @property
    def drift(self) -> float | None:
        """How far replays end from recordings, as a part of the way, at most; None: nothing was replayed."""
        found = [row.get("replay_drift") for row in self.trained]
        return max((drift for drift in found if drift is not None), default=None)

    def rows(self) -> list[Row]:
        """A row per replicate."""
        return [
            {"replicate": row["replicate"], "seed": row["seed"], "steps": row["steps"]}
            | {"parameters": row["parameters"], "loss": row["final_loss_nats"]}
            for row in self.trained
        ]

    def plot(self) -> "Axes":
        """A bar per replicate: its final loss, next to the mean."""
        losses = [float(row["final_loss_nats"]) for row in self.trained]
        mean = [sum(losses) / len(losses)] * len(losses)
        names = [f"seed {row['seed']}" for row in self.trained]
        return bars(names, losses, losses, losses, mean, ("nats", "final loss", "mean"), self.title)
