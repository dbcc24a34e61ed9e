"""EK-FAC influence functions (arXiv 2308.03296) by kronfluence, with labels sampled from the model.

Legend: N training examples, Q queries.
"""

import logging
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from kronfluence.analyzer import Analyzer, prepare_model
from kronfluence.arguments import FactorArguments, ScoreArguments
from kronfluence.task import Task
from mlp import Job, Scored, bytes_of_files, margins, scored, timed
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import TensorDataset

DAMPINGS = {
    "damping 1e-8 (default)": 1e-8,
    "damping 1e-4": 1e-4,
    "damping 1e-2": 1e-2,
    "damping 0.1 mean eigenvalue": None,
}
"""Of seven tried, 1e-4 was best on tuning queries of MNIST `thousand`, under seeds that judge nothing."""
FITTED, SEED = "ekfac", 0


class Classification(Task):
    """Cross-entropy; measures minus the margin, so that positive scores helped the query."""

    def compute_train_loss(self, batch: list[Tensor], model: nn.Module, sample: bool = False) -> Tensor:
        """Summed over the batch."""
        features, labels = batch
        logits_BC = model(features)
        if sample:
            labels = torch.distributions.Categorical(logits=logits_BC.detach()).sample()
        return functional.cross_entropy(logits_BC, labels, reduction="sum")

    def compute_measurement(self, batch: list[Tensor], model: nn.Module) -> Tensor:
        """Summed over the batch."""
        features, labels = batch
        return -margins(model(features), labels).sum()


def methods(job: Job) -> Iterator[Scored]:
    """Every damping with one model, and with the mean of all."""
    with TemporaryDirectory() as folder:
        thetas = enumerate(job.theta_MP[: job.judged])
        fitted = [_Fitted(job, theta_P, Path(folder) / str(model)) for model, theta_P in thetas]
        for name, damping in DAMPINGS.items():
            each = [one.scored(name, damping) for one in fitted]
            for models in sorted({1, len(each)}):
                yield _mean(
                    f"kronfluence EK-FAC, margin, {name}, {models} model{'s' * (models > 1)}", each[:models]
                )


def _mean(method: str, each: list[Scored]) -> Scored:
    return Scored(
        method,
        torch.stack([one.score_NQ for one in each]).mean(0),
        len(each),
        sum(one.prepare_seconds for one in each),
        sum(one.query_seconds for one in each),
        sum(one.stored_bytes for one in each),
    )


class _Fitted:
    """The factors of one model."""

    def __init__(self, job: Job, theta_P: Tensor, folder: Path) -> None:
        self._job, task = job, Classification()
        model = prepare_model(job.network(theta_P), task)
        self._analyzer = Analyzer(
            FITTED, model, task, cpu=True, log_level=logging.ERROR, disable_tqdm=True, output_dir=str(folder)
        )
        torch.manual_seed(SEED)

        def fit() -> None:
            self._analyzer.fit_all_factors(
                FITTED, job.train, per_device_batch_size=len(job.train), factor_args=FactorArguments("ekfac")
            )

        _, self._seconds = timed(fit)
        self._stored = bytes_of_files(folder, ".safetensors")

    def scored(self, name: str, damping: float | None) -> Scored:
        def score(queries: TensorDataset) -> Tensor:
            self._analyzer.compute_pairwise_scores(
                "scores",
                FITTED,
                queries,
                self._job.train,
                per_device_query_batch_size=len(queries),
                per_device_train_batch_size=len(self._job.train),
                score_args=ScoreArguments(damping_factor=damping),
                overwrite_output_dir=True,
            )
            return self._analyzer.load_pairwise_scores("scores")["all_modules"].T

        return scored(name, 1, self._seconds, self._stored, score, self._job.queries)
