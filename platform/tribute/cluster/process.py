"""Set-up of the processes that train and simulate."""

import ctypes
import logging

import torch

MMAP_MAX, TRIM_THRESHOLD = -4, -1
"""Parameters of glibc's `mallopt`."""


def prepare_process() -> None:
    """Compute on one thread, and keep the memory of a step for the next one.

    One thread, because results must not depend on the number of cores. Memory that glibc returns to the system
    after every step makes ensembles of trajectories take 1.8 times as long.
    """
    logging.getLogger().setLevel(logging.WARNING)
    torch.set_num_threads(1)
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(MMAP_MAX, 0)
        mallopt(TRIM_THRESHOLD, -1)
