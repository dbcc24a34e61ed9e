"""The page of the client is followed against the real service of the demo; so is its endpoint."""

import shutil
from pathlib import Path

import httpx
import pytest

from tests.docs.blocks import Reader, blocks
from tests.docs.test_code_blocks import SERVED
from tests.served import served
from tests.unit.client.contract_service import listening
from tribute import Client
from tribute.config import load_project

ADDRESS = "http://127.0.0.1:8000"
REPORTED = "Return an array of the given shape"


def test_the_page_does_what_it_says(
    demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(demo / "tribute-demo", tmp_path / "tribute-demo")
    reader = Reader(SERVED, tmp_path, monkeypatch, {})
    with served(load_project(tmp_path / "tribute-demo" / "project.yaml")) as url:
        for block in blocks(SERVED.read_text().replace(ADDRESS, url)):
            reader.follow(block)
        monkeypatch.syspath_prepend(str(tmp_path))
        endpoint = __import__("endpoint")
        with listening(endpoint.app, lifespan="on") as port:
            asked = {"prompt": REPORTED, "user": "anna"}
            answer = httpx.post(f"http://127.0.0.1:{port}/v1/completions", json=asked).json()
        with Client(url) as client:
            assert client.attribution(answer["id"]).query_id == answer["id"]
    printed = capsys.readouterr().out
    assert "2 recorded now" in printed
    assert "2 of 2" in printed
    assert (tmp_path / "2026-10.xlsx").read_bytes()[:2] == b"PK"
    assert len([*tmp_path.glob("*.pdf")]) > 0
