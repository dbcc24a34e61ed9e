"""MNIST is found where it is said to be, fetched once, and refused in one sentence where it is something else."""

import gzip
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.benchmarks import data
from tests.benchmarks.data import FILES, VARIABLE, Digests, MissingData, mnist_folder

ROOT = Path(__file__).parents[3]
CONTENT = {name: name.encode() * 5 for name in FILES}


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A folder with four small files in place of MNIST's, and nothing beside the clone."""
    folder = tmp_path / "published"
    folder.mkdir()
    for name, content in CONTENT.items():
        (folder / name).write_bytes(gzip.compress(content, mtime=0))
        digests = (hashlib.sha256(each).hexdigest() for each in ((folder / name).read_bytes(), content))
        monkeypatch.setitem(FILES, name, Digests(*digests))
    monkeypatch.setattr(data, "BESIDE", tmp_path / "beside")
    monkeypatch.delenv(VARIABLE, raising=False)
    mnist_folder.cache_clear()
    yield folder
    mnist_folder.cache_clear()


def test_the_real_files_are_known_by_their_content(mnist: Path) -> None:
    with gzip.open(mnist / "t10k-labels-idx1-ubyte.gz") as file:
        assert len(file.read()) == 8 + 10_000


@pytest.mark.parametrize("inside", ["", "mnist"])
def test_a_named_folder_comes_first_however_its_files_are_compressed(
    small: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, inside: str
) -> None:
    folder = tmp_path / "named" / inside
    folder.mkdir(parents=True)
    for name, content in CONTENT.items():
        (folder / name).write_bytes(gzip.compress(content, 1, mtime=7))
    small.rename(tmp_path / "beside")
    assert mnist_folder() == tmp_path / "beside"
    mnist_folder.cache_clear()
    monkeypatch.setenv(VARIABLE, str(tmp_path / "named"))
    assert mnist_folder() == folder


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda path: path.write_bytes(gzip.compress(b"other")), "holds something else"),
        (lambda path: path.write_bytes(b"no gzip"), "cannot be read"),
        (lambda path: path.unlink(), "cannot be read"),
        (lambda path: path.parent.rename(f"{path.parent}-away"), f"which {VARIABLE} names, does not hold it"),
    ],
)
def test_a_named_folder_with_other_files_is_refused(
    small: Path, monkeypatch: pytest.MonkeyPatch, wrong: object, said: str
) -> None:
    monkeypatch.setenv(VARIABLE, str(small))
    wrong(small / "t10k-labels-idx1-ubyte.gz")
    with pytest.raises(MissingData, match=f"{said}.*: fetch train-images.* and set {VARIABLE} to the folder"):
        mnist_folder()


def test_a_missing_folder_is_fetched_once_and_refused_where_its_digest_differs(
    small: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pooch = pytest.importorskip("pooch")
    pooch.get_logger().setLevel("ERROR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(small))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(data, "ADDRESS", f"http://127.0.0.1:{server.server_port}/")
        for name in CONTENT:
            other = (small / name).read_bytes()
            (small / name).write_bytes(gzip.compress(b"other"))
            with pytest.raises(MissingData, match=f"fetching it failed .*{name}"):
                mnist_folder()
            (small / name).write_bytes(other)
        folder = mnist_folder()
        server.shutdown()
    assert {path.name: gzip.decompress(path.read_bytes()) for path in folder.iterdir()} == CONTENT
    mnist_folder.cache_clear()
    assert mnist_folder() == folder  # the server is gone


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing of requests."""


def test_a_benchmark_without_its_data_ends_with_a_sentence(tmp_path: Path) -> None:
    code = "from tests.benchmarks.mnist import write_mnist_project as write; from pathlib import Path; " + (
        f"write(Path({str(tmp_path)!r}), 'smooth', 1.0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ | {VARIABLE: str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"MNIST is needed, but {tmp_path}, which {VARIABLE} names, does not hold it")
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1
