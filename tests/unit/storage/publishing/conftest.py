"""The lake of a small market, for the tests of one file."""

from pathlib import Path

import pytest

from tests.unit.storage.market import commit, market


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("market") / "lake"
    commit(root, market())
    return root
