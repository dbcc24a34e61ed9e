"""Nothing of the corpus passes through the object store: workers of two nodes map its files."""

from pathlib import Path

import numpy as np
import pytest
import ray
from ray._private.internal_api import node_stats
from ray.cluster_utils import Cluster

from tests.chaos.ray_cluster import free_port
from tests.unit.corpus.snapshots import of_columns
from tribute.cluster import ShardSettings, TrainJob, WorkerPool, ray_session
from tribute.config import ClusterSettings, TaskSettings, TrainingSettings
from tribute.corpus import write_snapshot
from tribute.training import build_model
from tribute_storage import Lake

CORPUS_BYTES, STORE_BYTES = 80_000_000, 2**27
MOST_BYTES = 50_000_000


def stored() -> dict[str, int]:
    """Bytes in the object store of every node."""
    nodes = [node for node in ray.nodes() if node["Alive"]]
    return {
        node["NodeID"]: node_stats(
            node["NodeManagerAddress"], node["NodeManagerPort"]
        ).store_stats.object_store_bytes_used
        for node in nodes
    }


@pytest.mark.slow
def test_two_nodes_train_on_more_than_their_object_stores_take(tmp_path: Path) -> None:
    features = np.random.default_rng(0).normal(size=(CORPUS_BYTES // 4 // 4096, 4096)).astype(np.float32)
    labels = (features[:, 0] > 0).astype(np.int64)
    parts = {f"source-{n}": {"features": features[n::4], "labels": labels[n::4]} for n in range(4)}
    none = {"features": features[:0], "labels": labels[:0]}
    write_snapshot(of_columns({name: (own, none) for name, own in parts.items()}), tmp_path / "corpus", 2**24)
    Lake(str(tmp_path / "lake"))
    task = TaskSettings(name="classifier", options={"features": 4096, "classes": 2, "hidden": []})
    training = TrainingSettings(batch_size=1024, epochs=1, optimizer="sgd", learning_rate=0.05)
    arguments = {"num_cpus": 1, "object_store_memory": STORE_BYTES, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=arguments | {"gcs_server_port": free_port()})
    try:
        cluster.add_node(**{k: v for k, v in arguments.items() if k != "include_dashboard"})
        settings = ClusterSettings(address=cluster.address, workers=2, placement="SPREAD")
        with ray_session(settings):
            frozen = build_model(task, training).frozen
            shard = ShardSettings(tmp_path / "corpus", task, frozen, training, str(tmp_path / "lake"), 1.0)
            pool = WorkerPool(settings, shard)
            jobs = [TrainJob(n, n, tmp_path / f"replicate-{n}") for n in range(2)]
            rows = pool.run(jobs, lambda actor, job: actor.train.remote(job))
            used = stored()
            pool.close()
    finally:
        cluster.shutdown()
    assert [row["steps"] for row in rows] == [len(features) // 1024] * 2
    assert len(used) == 2 and max(used.values()) < MOST_BYTES < CORPUS_BYTES, used
