"""Refusals of the service, as it words them."""

from tribute.errors import MachineError, TributeError

RETRIED = frozenset((429, 502, 503, 504))
"""Statuses of a service that is busy, starting, or lost by a proxy. The same request may succeed later."""


class ServiceError(TributeError):
    """The service refused a request, or its answer cannot be read.

    Attributes:
        status: of HTTP.
        title: the problem in a few words.
        detail: what was found, what was expected and the remedy.
        problem: the whole problem (RFC 9457), empty if the answer was none.
    """

    def __init__(self, message: str, status: int, title: str, detail: str, problem: dict[str, object]) -> None:
        super().__init__(message)
        self.status, self.title, self.detail, self.problem = status, title, detail, problem


def with_sentence(error: ServiceError | MachineError, more: str) -> ServiceError | MachineError:
    """The same error with a sentence more."""
    message = f"{error} {more}"
    if isinstance(error, ServiceError):
        return ServiceError(message, error.status, error.title, error.detail, error.problem)
    return MachineError(message)


def is_passing(error: TributeError) -> bool:
    """Whether the same request may succeed later."""
    return isinstance(error, MachineError) or (isinstance(error, ServiceError) and error.status in RETRIED)
