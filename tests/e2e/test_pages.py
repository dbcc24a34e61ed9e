"""Pages in a browser and in print."""

import io
import json
import os
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright
from pypdf import PdfReader

from tests.unit.evaluation.test_certificate import figures
from tribute.evaluation.certificate import render_certificate

CHROMIUM = shutil.which("chromium")
QUIET = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"]


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        stop = pytest.fail if "CI" in os.environ else pytest.skip
        stop("chromium, which shows the pages, is missing: apt-get install chromium")
    with sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser, tmp_path: Path):
    file = tmp_path / "certificate.html"
    file.write_text(render_certificate(figures()))
    page = browser.new_page(viewport={"width": 800, "height": 1200})
    page.problems = []
    page.on("console", lambda message: page.problems.append(message.text))
    page.on("request", lambda request: page.problems.append(request.url) if request.url != file.as_uri() else None)
    page.goto(file.as_uri())
    yield page
    page.close()


def test_a_certificate_asks_for_nothing_and_complains_of_nothing(page: Page) -> None:
    assert page.problems == []  # type: ignore[attr-defined]
    assert page.locator("h1").is_visible()


def test_its_plots_are_drawn_and_nothing_sticks_out(page: Page) -> None:
    plots = page.locator("svg")
    assert plots.count() == 3
    for plot in plots.all():
        box = plot.bounding_box()
        assert box is not None and box["width"] > 200 and box["height"] > 100
    assert page.evaluate("document.documentElement.scrollWidth") <= 800


def test_it_prints_on_one_sheet_of_a4(page: Page) -> None:
    assert len(PdfReader(io.BytesIO(page.pdf(format="A4"))).pages) == 1


def test_its_headline_is_what_was_measured(page: Page) -> None:
    wrong = figures().headline.misallocated_pool
    assert f"{100 * wrong:.1f}%" in page.locator("body").inner_text(), json.dumps(wrong)
