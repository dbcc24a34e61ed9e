"""Settings that others publish, judged by a bank of retrainings that lies beside this file."""

from tests.benchmarks.canonical.command import main

__all__ = ["main"]
