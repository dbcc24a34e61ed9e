"""A Ray of one's own, whose processes can be killed one by one."""

import socket
import time
from contextlib import closing

import psutil
from ray.cluster_utils import Cluster
from ray.util import get_node_ip_address

AGENTS = ("ray::DashboardAgent", "ray::RuntimeEnvAgent")
"""Processes that a node cannot do without; they are no workers."""


class OwnRay:
    """A Ray on this machine at an address that stays the same when it is started again."""

    def __init__(self, workers: int = 2) -> None:
        self._workers, self._port = workers, free_port()
        self.address = f"{get_node_ip_address()}:{self._port}"
        self._cluster: Cluster | None = None

    def start(self) -> None:
        """Start it, or start it again where a process of it is gone."""
        if self._cluster is not None and all(self._alive(name) for name in ("raylet", "gcs_server")):
            return
        self.close()
        arguments = {
            "num_cpus": self._workers,
            "include_dashboard": False,
            "gcs_server_port": self._port,
            "object_store_memory": 100 * 2**20,
        }
        for last in (False, False, True):  # a busy machine may need longer than Ray waits
            try:
                self._cluster = Cluster(initialize_head=True, head_node_args=arguments, shutdown_at_exit=True)
                return
            except Exception:  # Ray raises many kinds when it is slow to start
                if last:
                    raise

    def kill(self, name: str) -> None:
        """Kill its process of a name: raylet or gcs_server."""
        self._process(name).kill()

    def kill_worker(self, actor: bool, patience_s: float, wait_s: float = 0.0) -> bool:
        """Kill a worker, one that is an actor of tribute or any other; whether there was one."""
        until = time.monotonic() + patience_s
        while time.monotonic() < until:
            found = [each for each in self.workers() if ("SourceShard" in title(each)) == actor]
            if found:
                time.sleep(wait_s)
                found[0].kill()
                return True
            time.sleep(0.01)
        return False

    def workers(self) -> list[psutil.Process]:
        """Its worker processes."""
        try:
            children = psutil.Process(self._process("raylet").pid).children()
        except psutil.Error:
            return []
        return [each for each in children if title(each).startswith("ray::") and title(each) not in AGENTS]

    def close(self) -> None:
        """End all its processes."""
        if self._cluster is not None:
            self._cluster.head_node.kill_all_processes(check_alive=False, allow_graceful=False)
            self._cluster.shutdown()
            self._cluster = None

    def _process(self, name: str) -> psutil.Process:
        assert self._cluster is not None
        return psutil.Process(self._cluster.head_node.all_processes[name][0].process.pid)

    def _alive(self, name: str) -> bool:
        assert self._cluster is not None
        return any(each.process.poll() is None for each in self._cluster.head_node.all_processes.get(name, ()))


def title(process: psutil.Process) -> str:
    """The command line of a process; empty where it is gone."""
    try:
        return " ".join(process.cmdline()).strip()  # a title is padded
    except psutil.Error:
        return ""


def free_port() -> int:
    """A port that nobody listens at."""
    with closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
