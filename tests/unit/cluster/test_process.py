"""A worker process computes on one thread and keeps the memory of a step for the next one."""

import subprocess
import sys

import pytest

PROGRAM = """
import resource
import torch
from tribute.cluster.process import prepare_process

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(2**24)  # 64 MiB, 16384 pages, freed at once
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

returned = min(faults() for _ in range(12))
prepare_process()
print(torch.get_num_threads(), returned, min(faults() for _ in range(12)))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="mallopt is a function of glibc")
def test_memory_of_a_step_is_kept_for_the_next_one() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    threads, returned, kept = map(int, done.stdout.split())
    assert threads == 1
    assert kept < 100 < returned
