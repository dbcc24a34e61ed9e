"""The application to compare with: a forward pass of the same model on the same rows, and nothing else.

It batches what several requests ask by tokens, as tribute does; its web application holds the model itself, so a
request goes through one process behind the proxy.

Legend: N rows.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from ray import serve
from ray.serve import Application

from tribute.catalog import recorded_replicates
from tribute.config import Project
from tribute.corpus import text_queries
from tribute.corpus.sources import Columns
from tribute.training import build_model

PREFIX, ROUTE = "/bare", "/measurements"


class ForwardPass:
    """Measures rows by the served model: the first replicate's, on one thread."""

    def __init__(self, project: Project) -> None:
        torch.set_num_threads(1)
        self._task = build_model(project.task, project.training)
        self._pieces = self._task.pieces(recorded_replicates(project)[0].final())

    def measure(self, columns: Columns) -> NDArray[np.float32]:
        """f(theta; q) of each row, [N], nats."""
        with torch.inference_mode():
            batch = {name: torch.from_numpy(values) for name, values in columns.items()}
            measured_N: NDArray[np.float32] = self._task.measure_at(self._pieces, batch).numpy()
            return measured_N

    def of_works(self, works: list[Columns]) -> list[NDArray[np.float32]]:
        """The same of several requests, in one pass."""
        together = {name: np.concatenate([work[name] for work in works]) for name in works[0]}
        ends = np.cumsum([len(next(iter(work.values()))) for work in works])
        return np.split(self.measure(together), ends[:-1])


class BareReplica:
    """Speaks HTTP, and holds the model."""

    def __init__(self, project: Project) -> None:
        self._project, self._forward = project, ForwardPass(project)

    def __serve_build_asgi_app__(self) -> Any:
        from tests.benchmarks.serving.bare_web import bare_web  # noqa: PLC0415  (Serve pickles this class)

        return bare_web(self._forward, self._project.corpus.window, self._project.serving.batch_tokens)


def bare_application(project: Project) -> Application:
    """The application of a project's model."""
    made: Any = serve.deployment(serve.ingress()(BareReplica))
    options = {"name": "Bare", "max_ongoing_requests": 1024, "ray_actor_options": {"num_cpus": 0}}
    bound: Application = made.options(**options).bind(project)
    return bound


def rows_of(texts: list[str], window: int) -> Columns:
    """The rows that texts make, as tribute makes them."""
    return text_queries([str(index) for index in range(len(texts))], texts, window).rows
