"""Influence functions, TracIn and gradient products by dattri.

Its EK-FAC (0.3.0) is left out: for layers with a bias it appends the bias to the flattened weights before it
folds them into a matrix, so that the inverse meets other rows and columns than those of its factors.

Legend: N training examples, Q queries, P parameters, B rows.
"""

from collections.abc import Callable, Iterator, Sequence

import torch
from dattri.algorithm.influence_function import IFAttributorCG, IFAttributorExplicit
from dattri.algorithm.tracin import TracInAttributor
from dattri.task import AttributionTask
from mlp import Job, Scored, margins, scored
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

DAMPING = 1e-2
LAST_LAYER_DAMPING = 1e-3
"""Of 1e-3, 1e-2 and 0.1 the best on tuning queries of MNIST `thousand`; the other was not tuned."""
ITERATIONS = 10
AT_ONCE = 50
"""Queries whose conjugate gradients run together."""
Rows = Callable[[TensorDataset], DataLoader]
Measure = Callable[[Tensor, Tensor], Tensor]


def log_likelihoods(logits_BC: Tensor, label_B: Tensor) -> Tensor:
    """Minus the loss, [B]."""
    return -functional.cross_entropy(logits_BC, label_B, reduction="none")


def methods(job: Job) -> Iterator[Scored]:
    """Gradients in full, of margins of queries; for TracIn of their loss, as in its paper.

    At one state the two differ by a factor for each query; over a training, loss weighs early states more.
    """
    for models in sorted({1, job.judged}):
        thetas, suffix = list(job.theta_MP[:models]), f"{models} model{'s' * (models > 1)}"
        yield _influence(job, thetas, f"dattri IF-CG, margin, {suffix}", None)
        last = [f"{2 * len(job.layers) - 4}.{part}" for part in ("weight", "bias")]
        yield _influence(job, thetas, f"dattri last-layer explicit, margin, {suffix}", last)
        yield _products(job, thetas, [1.0] * models, models, f"dattri Grad-Dot, margin, {suffix}")
    checkpoints = list(job.checkpoint_KP)
    yield _products(
        job,
        checkpoints,
        job.rate_K.tolist(),
        1,
        f"dattri TracIn, loss, {len(checkpoints)} checkpoints",
        log_likelihoods,
    )


def _influence(job: Job, thetas: Sequence[Tensor], method: str, layers: list[str] | None) -> Scored:
    """-grad f(q) (H + damping)^-1 grad loss(z), H that of the mean training loss."""
    task = _task(job, thetas)
    whole = _rows(len(job.train))
    if layers is None:
        attributor = IFAttributorCG(task, max_iter=ITERATIONS, regularization=DAMPING)
        rows = _rows(AT_ONCE)
    else:
        attributor = IFAttributorExplicit(task, layer_name=layers, regularization=LAST_LAYER_DAMPING)
        rows = _rows(len(job.queries))
    attributor.cache(whole(job.train))
    train = whole(job.train)
    return _scored(job, method, len(thetas), lambda queries: attributor.attribute(train, rows(queries)))


def _products(
    job: Job,
    thetas: Sequence[Tensor],
    rates: list[float],
    models: int,
    method: str,
    measure: Measure = margins,
) -> Scored:
    """Sum over checkpoints of -rate grad f(q) . grad loss(z)."""
    attributor = TracInAttributor(_task(job, thetas, measure), torch.tensor(rates), normalized_grad=False)
    attributor.projector_kwargs = None  # its constructor projects to 512 dimensions even where told not to
    train, rows = _rows(len(job.train))(job.train), _rows(len(job.queries))
    return _scored(job, method, models, lambda queries: attributor.attribute(train, rows(queries)))


def _scored(job: Job, method: str, models: int, attribute: Callable[[TensorDataset], Tensor]) -> Scored:
    """Dattri goes through the training examples anew in every call, so that it stores nothing.

    It differentiates by torch.func; without `no_grad`, torch would also keep a graph.
    """

    def score(queries: TensorDataset) -> Tensor:
        with torch.no_grad():
            return -attribute(queries)

    return scored(method, models, 0.0, 0, score, job.queries)


def _task(job: Job, thetas: Sequence[Tensor], measure: Measure = margins) -> AttributionTask:
    model = job.network(thetas[0])

    def logits(parameters: dict[str, Tensor], batch: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        features, labels = batch
        rows_BD = features.reshape(-1, job.layers[0])
        return torch.func.functional_call(model, parameters, (rows_BD,)), labels.reshape(-1)

    def loss(parameters: dict[str, Tensor], batch: Sequence[Tensor]) -> Tensor:
        return functional.cross_entropy(*logits(parameters, batch))

    def target(parameters: dict[str, Tensor], batch: Sequence[Tensor]) -> Tensor:
        return measure(*logits(parameters, batch)).mean()

    return AttributionTask(loss, model, [job.state(theta_P) for theta_P in thetas], target_func=target)


def _rows(size: int) -> Rows:
    return lambda examples: DataLoader(examples, batch_size=size)
