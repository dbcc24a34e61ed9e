"""Every code block of the documentation runs as it stands, or is marked as output.

A page is followed from top to bottom in a folder of its own, with the finished demo in it. Blocks with a title are
files, `yaml` is checked as settings, `python` and `bash` run, `text` is output.
"""

import shutil
from pathlib import Path

import pytest

from tests.docs.blocks import OUTPUT, Reader, blocks

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
SERVED = {ROOT / "docs" / "how-to" / name for name in ("client.md", "serve.md")}
"""They need a running service: `test_served_pages` follows them."""
RUN = [
    page
    for page in PAGES
    if page not in SERVED and any(block.language != OUTPUT for block in blocks(page.read_text()))
]

ELSEWHERE = {
    "make": "Makefile",
    "pip install ./verify": "tests/unit/royalty/proof/test_distribution.py",
    "pip install": "Makefile",
    "cd examples": "tests/e2e/test_language_model_example.py",
    "python fine_tuned_language_model.py": "tests/e2e/test_language_model_example.py",
    "source": "Makefile",
    "tribute diff": "tests/unit/jobs/inquiries/test_diff.py",
    "tribute evaluate": "tests/e2e/test_evaluate.py",
    "tribute judge": "tests/unit/jobs/commands/test_judge.py",
    "tribute serve": "tests/e2e/test_service.py",
}
"""Commands that install, serve, or take minutes, and the file that runs them."""


@pytest.mark.usefixtures("ray_cluster")
@pytest.mark.parametrize("page", RUN, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_does_what_it_says(
    page: Path, demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    text = page.read_text()
    if "tribute-demo/" in text:
        shutil.copytree(demo / "tribute-demo", tmp_path / "tribute-demo")
    reader = Reader(page, tmp_path, monkeypatch, ELSEWHERE)
    for block in blocks(text):
        if block.language != OUTPUT:
            reader.follow(block)
    assert "Traceback" not in capfd.readouterr().err


def test_what_runs_elsewhere_is_there() -> None:
    assert [path for path in ELSEWHERE.values() if not (ROOT / path).is_file()] == []


def test_pages_have_blocks_of_every_kind() -> None:
    languages = {block.language for page in RUN for block in blocks(page.read_text())}
    assert {"bash", "python", "yaml", "json", "csv", OUTPUT} <= languages
