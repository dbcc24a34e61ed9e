"""Influence functions with the Gauss-Newton matrix, solved by iterations from EK-FAC's solution (ASTRA).

Legend: N training examples, G groups, Q queries, P parameters.
"""

from dataclasses import dataclass

from torch import Tensor

from tribute.errors import ConfigError
from tribute.estimators.estimator import NamedTensors, Trained
from tribute.estimators.methods.curvature.conjugate_gradient import (
    SolvedEstimator,
    System,
    check_solve_for,
    damped_gauss_newton,
)
from tribute.estimators.methods.curvature.kronecker import (
    Point,
    Sampling,
    coverage_of,
    fit_curvature,
    function_of,
    mean_eigenvalue,
)
from tribute.estimators.methods.curvature.reach import reach_over, recorded_stretches

STATES = 10
"""Recorded states whose optimizer counts."""


@dataclass(frozen=True)
class Astra(SolvedEstimator):
    """Influence function with the Gauss-Newton matrix, by iterations that EK-FAC starts and steers (ASTRA).

    I[q, g] = -(1/N) grad f(q) . (G + diag(lambda))^-1 sum over the group of grad loss(z): the nats that f(q) loses
    without the group.

    G is the Gauss-Newton matrix of the mean training loss at the final parameters. lambda is `damping` / (sum of
    learning rates times what the optimizer makes of a gradient): directions of less curvature have hardly been
    trained. Momentum mu makes 1 / (1 - mu), Adam 1 / (sqrt(v) + eps) for each parameter.

    Differences from the paper: conjugate gradients, preconditioned by EK-FAC, take the place of EK-FAC's descent
    along drawn batches. The start is the same, EK-FAC's solution. On a network fitted to 400 images, ten products
    gave an LDS of .74; 200 steps of descent gave .73 at eight times the cost. Each right-hand side has its own
    search directions, so a group equals the sum of its examples only as far as `residual_G` is 0. Groups are
    solved for, unless `solve_for` says queries. The paper's lambda is one number, also under Adam.

    A fit costs that of `ekfac`, a gather `iterations` + 2 forward and backward passes over `examples` for each
    group, a query its gradient.

    Source: arXiv 2507.14740; Martens, arXiv 1412.1193 (G).
    """

    damping: float = 1.0
    """lambda as a multiple of 1 / (sum of effective learning rates), nats per squared unit of theta. LDS at .3, 1,
    3 and 10 on the same network: .72, .74, .71, .61. On a small transformer at 1 and 3: .39, .41 (EK-FAC .28)."""
    iterations: int = 10
    """Number of products with G after EK-FAC's solution; 0: EK-FAC with this lambda."""
    examples: int = 1000
    """Number of randomly drawn training examples that G averages over."""
    labels: int | str = "auto"
    """Draws per example for EK-FAC, as of `ekfac`."""
    factor_examples: int = 10_000
    """Number of randomly drawn training examples that EK-FAC averages over."""
    rows: int = 256
    """Largest number of examples in a pass."""
    product_bytes: int = 2**29
    """Bytes for products with the directions of several groups at once."""
    solve_for: str = "groups"
    """`queries` solves for the gradient of each query instead; see `conjugate_gradient`."""

    def __post_init__(self) -> None:
        check_solve_for("astra", self.solve_for)
        self._sampling.check("astra", self.damping)
        if self.iterations < 0 or self.examples < 1 or self.product_bytes < 1:
            raise ConfigError(
                f"astra: iterations is {self.iterations}, examples {self.examples} and product_bytes "
                f"{self.product_bytes}. Set iterations to at least 0 and the others to at least 1"
            )

    @property
    def _sampling(self) -> Sampling:
        return Sampling(self.labels, self.factor_examples, self.rows)

    def fit(self, trained: Trained) -> NamedTensors:
        """EK-FAC in coordinates in which lambda is `damping` (see `fit_curvature`), and damping / lambda, [P].

        Raises:
            ConfigError: the training has no recorded steps, or its loss is not a cross-entropy of the outputs.
        """
        reach_P = reach_over(trained, recorded_stretches(trained, STATES, "astra"))
        return fit_curvature(trained, [Point(trained.theta_P)], self._sampling, reach_P.sqrt()) | {
            "reach": reach_P
        }

    def numbers_per_group(self, trained: Trained) -> int:
        """Eight vectors of parameters: six of the solver, and two of its preconditioner."""
        return 8 * trained.task.size

    def system(self, trained: Trained, fitted: NamedTensors) -> System:
        """The damped matrix, and EK-FAC's solution with this lambda."""
        mean_eigenvalue("astra", fitted)
        root_P = fitted["root"]

        def near(vector_GP: Tensor) -> Tensor:
            solved_GP = function_of(
                trained.task, fitted, root_P * vector_GP, lambda values: 1 / (values + self.damping)
            )
            return root_P * solved_GP

        lambda_P = self.damping / fitted["reach"]
        return System(damped_gauss_newton(trained, lambda_P, self.examples, self.rows, self.product_bytes), near)

    def coverage(self, trained: Trained, fitted: NamedTensors) -> str:
        """The part of the parameters with factors, and the names of the others, which have a diagonal."""
        return coverage_of("astra", trained.task, fitted)
