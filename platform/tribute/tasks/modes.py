"""In which mode a model runs: a task may ask, to choose kernels or to leave out outputs that nobody reads."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_FORWARD_MODE = ContextVar("forward_mode", default=False)
_VALUES_ONLY = ContextVar("values_only", default=False)
_RECOMPUTATION = ContextVar("recomputation", default=False)
_AUTOCAST = ContextVar("autocast", default=False)


def in_forward_mode() -> bool:
    """Whether a directional derivative is computed, which fused kernels do not support."""
    return _FORWARD_MODE.get()


def only_values_are_read() -> bool:
    """Whether only losses or measurements are read, and the model's outputs themselves by nobody."""
    return _VALUES_ONLY.get()


def recomputation_allowed() -> bool:
    """Whether plain autograd follows, in which a part of the forward pass may be run again to save memory."""
    return _RECOMPUTATION.get()


def under_autocast() -> bool:
    """Whether a step under `torch.autocast` is repeated, which other kernels would round otherwise."""
    return _AUTOCAST.get()


@contextmanager
def run_in_forward_mode() -> Iterator[None]:
    """Tell the models that run inside that a directional derivative is computed."""
    with _set(_FORWARD_MODE):
        yield


@contextmanager
def values_only() -> Iterator[None]:
    """Tell the task that runs inside, or in a function that it decorates, that only values are read."""
    with _set(_VALUES_ONLY):
        yield


@contextmanager
def allow_recomputation() -> Iterator[None]:
    """Tell the models that run inside that plain autograd follows, without a transform of `torch.func` around."""
    with _set(_RECOMPUTATION):
        yield


@contextmanager
def repeat_autocast() -> Iterator[None]:
    """Tell the task that runs inside that a training step under `torch.autocast` is repeated."""
    with _set(_AUTOCAST):
        yield


@contextmanager
def _set(mode: ContextVar[bool]) -> Iterator[None]:
    token = mode.set(True)
    try:
        yield
    finally:
        mode.reset(token)
