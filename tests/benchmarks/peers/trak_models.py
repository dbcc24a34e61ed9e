"""TRAK (arXiv 2303.14186) by its authors' traker, with one model and with all.

Legend: N training examples, Q queries.
"""

import logging
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from mlp import Job, Scored, bytes_of_files, scored, timed
from torch import Tensor
from torch.utils.data import TensorDataset
from trak import TRAKer
from trak.projectors import BasicSingleBlockProjector, ProjectionType

WIDTH = 128
"""Of 64, 128, 256 and 512 the best for ten models on tuning queries of MNIST `thousand`."""
ROWS = 500


class KeptProjector(BasicSingleBlockProjector):
    """Traker frees the matrix when it finalizes features, and then cannot score with the model at hand."""

    def free_memory(self) -> None:
        """Keep it."""


def methods(job: Job) -> Iterator[Scored]:
    """Margins, full gradients projected to `WIDTH` dimensions, models trained on all examples."""
    for models in sorted({1, len(job.theta_MP)}):
        with TemporaryDirectory() as folder:
            yield _scored(job, models, Path(folder))


def _scored(job: Job, models: int, folder: Path) -> Scored:
    states = [job.state(theta_P) for theta_P in job.theta_MP[:models]]
    traker = TRAKer(
        model=job.network(job.theta_MP[0]),
        task="image_classification",
        train_set_size=len(job.train),
        save_dir=str(folder),
        device="cpu",
        use_half_precision=False,
        projector=KeptProjector(job.theta_MP.shape[1], WIDTH, 0, ProjectionType.rademacher, "cpu"),
        logging_level=logging.ERROR,
    )

    def featurize() -> None:
        for model, state in enumerate(states):
            traker.load_checkpoint(state, model_id=model)
            for batch in zip(*(each.split(ROWS) for each in job.train.tensors), strict=True):
                traker.featurize(batch=batch, num_samples=len(batch[0]))
        traker.finalize_features()

    calls = iter(range(2))

    def score(queries: TensorDataset) -> Tensor:
        name = f"queries-{next(calls)}"
        for model, state in enumerate(states):
            traker.start_scoring_checkpoint(name, state, model, len(queries))
            for batch in zip(*(each.split(ROWS) for each in queries.tensors), strict=True):
                traker.score(batch=batch, num_samples=len(batch[0]))
        return torch.from_numpy(traker.finalize_scores(name).copy())

    _, seconds = timed(featurize)
    stored, title = bytes_of_files(folder, ".mmap"), f"TRAK, margin, {models} model{'s' * (models > 1)}"
    return scored(title, models, seconds, stored, score, job.queries)
