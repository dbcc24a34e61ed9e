"""One Ray for the pages of the documentation, as for the end-to-end tests."""

from tests.e2e.conftest import ray_cluster

__all__ = ["ray_cluster"]
