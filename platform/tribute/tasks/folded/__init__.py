"""Many trajectories in one pass over a batch."""

from tribute.tasks.folded.module import FoldedModule, forks, owners
from tribute.tasks.folded.together import Foldable, Together

__all__ = ["Foldable", "FoldedModule", "Together", "forks", "owners"]
