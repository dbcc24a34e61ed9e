"""The pages of the service and of its client are followed against the real service of the demo."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.docs.blocks import Reader, blocks
from tests.docs.test_code_blocks import ROOT
from tests.served import served
from tests.unit.client.contract_service import listening
from tribute import Client
from tribute.config import load_project

ADDRESS = "http://127.0.0.1:8000"
REPORTED = "Return an array of the given shape"
STARTED = {"tribute serve": "tests/e2e/test_service.py"}
CLIENT, SERVE = (ROOT / "docs" / "how-to" / name for name in ("client.md", "serve.md"))


@pytest.fixture
def url(demo: Path, tmp_path: Path) -> Iterator[str]:
    shutil.copytree(demo / "tribute-demo", tmp_path / "tribute-demo")
    with served(load_project(tmp_path / "tribute-demo" / "project.yaml")) as found:
        yield found


def follow(page: Path, url: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run every block of a page."""
    reader = Reader(page, folder, monkeypatch, STARTED)
    for block in blocks(page.read_text().replace(ADDRESS, url)):
        reader.follow(block)


def test_the_page_of_the_client_does_what_it_says(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    follow(CLIENT, url, tmp_path, monkeypatch)
    monkeypatch.syspath_prepend(str(tmp_path))
    endpoint = __import__("endpoint")
    with listening(endpoint.app, lifespan="on") as port:
        asked = {"prompt": REPORTED, "user": "anna"}
        answer = httpx.post(f"http://127.0.0.1:{port}/v1/completions", json=asked).json()
    with Client(url) as client:
        assert client.attribution(answer["id"]).query_id == answer["id"]
    printed = capsys.readouterr().out
    assert "3 recorded now" in printed
    assert "3 of 3" in printed
    assert (tmp_path / "2026-10.xlsx").read_bytes()[:2] == b"PK"
    assert len([*tmp_path.glob("*.pdf")]) > 0


@pytest.mark.usefixtures("ray_cluster")
def test_the_walk_ends_with_a_closed_month(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    follow(SERVE, url, tmp_path, monkeypatch)
    with Client(url) as client:
        assert client.attribution("answer-1").period == "2026-10"
        assert {each.status for each in client.statements("2026-10").statements} == {"final"}
    assert "answer-1" in httpx.get(f"{url}/queries/answer-1").text
