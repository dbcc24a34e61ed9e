"""Pages in a browser: accessible in both themes, whole on a phone, and asking for nothing elsewhere."""

import os
import shutil
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from tests.e2e.closing import FIRST, SECOND
from tests.e2e.service.conftest import Shown
from tribute_jobs.service.views.settled import newest_statements

CHROMIUM = shutil.which("chromium")
QUIET = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
PICTURES = Path(__file__).parents[3] / "build" / "pages"
WIDTHS = {"wide": 1200, "phone": 390}
RULES = {"resultTypes": ["violations"]}
ODD, EVEN = slice(0, None, 2), slice(1, None, 2)
"""Quick tests show every page once, half of them on a phone."""


@pytest.fixture(scope="module")
def address(service: Shown) -> str:
    """The service on a port of this machine."""
    assert service.address is not None
    return service.address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        stop = pytest.fail if "CI" in os.environ else pytest.skip
        stop("chromium, which shows the pages, is missing: apt-get install chromium")
    with sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield chromium
        chromium.close()


def paths(service: Shown) -> dict[str, str]:
    """Every kind of page, as the operator sees it."""
    run = newest_statements(service.project, FIRST, None).run_id
    return {
        "months": "/periods",
        "draft": f"/periods/{SECOND}",
        "closed": f"/periods/{FIRST}",
        "close": f"/periods/{SECOND}/close",
        "publisher": f"/publishers/planet?period={FIRST}&source=recipes",
        "query": f"/queries/q003-{FIRST}",
        "tokens": "/queries/live-1?tokens=true",
        "run": f"/runs/{run}",
        "quality": "/quality",
        "problem": "/periods/2020-01",
    }


def sign_in(page: Page, address: str, key: str) -> None:
    """As somebody would do it."""
    page.goto(f"{address}/sign-in")
    page.get_by_label("Key").fill(key)
    page.get_by_role("button", name="Sign in").click()


def violations(page: Page) -> list[str]:
    """What axe finds that keeps people from using a page."""
    found = Axe().run(page, options=RULES).response["violations"]
    return [
        f"{each['id']} ({each['impact']}): {node['html'][:120]}"
        for each in found
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]


@pytest.mark.parametrize(
    ("width", "theme", "shown"),
    [
        ("wide", "light", ODD),
        ("phone", "dark", EVEN),
        *(pytest.param(*both, slice(None), marks=pytest.mark.slow) for both in product(WIDTHS, ("light", "dark"))),
    ],
)
def test_every_page_is_accessible_whole_and_alone(
    service: Shown, address: str, browser: Browser, width: str, theme: str, shown: slice
) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    viewport = {"width": WIDTHS[width], "height": 900}
    page = browser.new_page(viewport=viewport, color_scheme=theme)
    asked, said = list[str](), list[str]()
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(f"{address}/sign-in")
    assert violations(page) == []
    page.screenshot(path=PICTURES / f"sign-in-{width}-{theme}.png", full_page=True)
    sign_in(page, address, service.operator)
    assert page.url == f"{address}/periods/{SECOND}"
    for name, path in [*paths(service).items()][shown]:
        page.goto(f"{address}{path}")
        page.screenshot(path=PICTURES / f"{name}-{width}-{theme}.png", full_page=True)
        assert violations(page) == [], name
        assert page.evaluate("document.documentElement.scrollWidth") <= WIDTHS[width], name
        assert (
            page.evaluate("getComputedStyle(document.body).backgroundColor")
            == {
                "light": "rgb(245, 246, 244)",
                "dark": "rgb(14, 20, 24)",
            }[theme]
        )
    assert {urlsplit(url).netloc for url in asked} == {urlsplit(address).netloc}
    assert [text for text in said if "404" not in text] == []  # the page of a problem is itself a 404
    page.close()


def test_the_chosen_theme_wins_over_the_browsers(service: Shown, address: str, browser: Browser) -> None:
    page = browser.new_page(color_scheme="dark")
    sign_in(page, address, service.operator)
    with page.expect_navigation():
        page.get_by_role("button", name="Light").click()
    page.wait_for_load_state()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(245, 246, 244)"
    assert page.get_by_role("button", name="Light").get_attribute("aria-pressed") == "true"
    page.close()


def test_the_keyboard_reaches_the_content_first(service: Shown, address: str, browser: Browser) -> None:
    page = browser.new_page()
    sign_in(page, address, service.operator)
    page.goto(f"{address}/periods/{SECOND}")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
    page.close()


def test_a_publisher_lands_on_its_own_page_and_prints_it(service: Shown, address: str, browser: Browser) -> None:
    page = browser.new_page()
    sign_in(page, address, service.keys["planet"])
    assert page.url == f"{address}/publishers/planet"
    assert violations(page) == []
    assert "arena" not in page.content() and "sports" not in page.content()
    page.emulate_media(media="print")
    assert not page.get_by_role("button", name="Sign out").is_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    page.close()
