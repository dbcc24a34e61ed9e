"""A worker: scores every query by some peers, in the environment of the peers.

    build/peers-venv/bin/python tests/benchmarks/peers/run.py JOB.npz SCORES.npz dattri_methods ...

Legend: N training examples, S sources, Q queries.
"""

import importlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from mlp import Job


def main(job_path: Path, out: Path, names: Sequence[str]) -> None:
    """Write the scores of each method, [N, Q], and what they cost."""
    torch.set_num_threads(1)
    job, scores, rows = Job.read(job_path), {}, []
    for name in names:
        for found in importlib.import_module(name).methods(job):
            forward = job.forward_seconds()  # next to the method, because processors change their pace
            scores[f"score_NQ_{len(rows)}"] = found.score_NQ.numpy()
            rows.append(
                {
                    "method": found.method,
                    "models": found.models,
                    "prepare_seconds": found.prepare_seconds,
                    "query_in_forwards": found.query_seconds / forward,
                    "stored_bytes": found.stored_bytes,
                }
            )
            print(found.method, f"{rows[-1]['query_in_forwards']:,.0f} forward passes a query", flush=True)
    np.savez(out, rows=json.dumps(rows), **scores)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
