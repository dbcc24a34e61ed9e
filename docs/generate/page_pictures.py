"""Pictures of the service's pages for the documentation: `python -m docs.generate.page_pictures`.

A project over installed documentation is run for three months, two of them closed, and served on this machine. A
browser takes the pictures. It takes about four minutes, and needs chromium and the packages for development.
"""

import importlib
import inspect
import io
import json
import random
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import yaml
from PIL import Image
from playwright.sync_api import Page, sync_playwright
from tests.served import served
from typer.testing import CliRunner

from tribute.config import Project, ServingSettings, load_project
from tribute_jobs.commands.app import app
from tribute_jobs.pipeline import run
from tribute_jobs.progress import JsonReporter
from tribute_jobs.service.views.settled import newest_statements

ASSETS = Path(__file__).parents[1] / "assets"
MONTHS = {"2026-09": "9000.00", "2026-10": "12500.00", "2026-11": "11000.00"}
*CLOSED, DRAFT = MONTHS
ASKED = {"sympy": 20, "scipy.stats": 16, "pandas": 14, "sklearn.linear_model": 18, "torch": 24, "statistics": 18}
"""Whose documentation the uses of the model are like, and how many there are in a month."""
WIDTH, TALLEST, COLOURS = 1100, 1500, 128
LIVE = {
    "query_id": "chat-live",
    "text": "Solves an equation for x, where x is a symbol",
    "customer_id": "northwind",
}


def usage() -> Iterator[dict[str, object]]:
    """Uses of the model in every month: pieces of docstrings, the same ones every time."""
    draw = random.Random(3)
    for month in MONTHS:
        for name, count in ASKED.items():
            module = importlib.import_module(name)
            docs = [inspect.getdoc(getattr(module, each)) or "" for each in dir(module) if each[0] != "_"]
            for text in draw.sample([each for each in docs if len(each) > 200], count + draw.randrange(-6, 6)):
                start = draw.randrange(len(text) - 64)
                yield {
                    "query_id": f"chat-{month[-2:]}-{draw.randrange(10**6):06}",
                    "text": text[start : start + 64],
                    "time": f"{month}-{draw.randrange(1, 28):02}T{draw.randrange(8, 19):02}:12:00+00:00",
                    "customer_id": draw.choice(["acme", "northwind", "globex"]),
                    "weight": draw.randrange(1, 4),
                }


def prepare(folder: Path) -> Project:
    """The project: two closed months, and a draft."""
    result = CliRunner().invoke(app, ["init", str(folder)])
    assert result.exit_code == 0, result.output
    path = folder / "project.yaml"
    written = yaml.safe_load(path.read_text())
    (folder / "usage.jsonl").write_text("".join(json.dumps(each) + "\n" for each in usage()))
    for month, amount in MONTHS.items():
        written |= {"name": "chronicle", "queries": {"kind": "usage", "path": "usage.jsonl"}}
        written["pool"] = {"amount": amount, "currency": "EUR"}
        path.write_text(yaml.safe_dump(written))
        run(load_project(path), month, JsonReporter())
        if month != DRAFT:
            run(load_project(path), month, JsonReporter(), last="close")
    return load_project(path)


def paths(project: Project) -> dict[str, str]:
    """The page of every picture."""
    settled = newest_statements(project, DRAFT, None)
    second = settled.statements[1].publisher_id
    return {
        "sign-in": "/sign-in",
        "months": "/periods",
        "period": f"/periods/{DRAFT}",
        "close": f"/periods/{DRAFT}/close",
        "publisher": f"/publishers/{second}?period={CLOSED[-1]}",
        "query": "/queries/chat-live?tokens=true",
        "run": f"/runs/{settled.run_id}",
        "quality": "/quality",
    }


def picture(page: Page) -> bytes:
    """The page as it stands, cut at `TALLEST`, in few colours."""
    height = min(page.evaluate("document.documentElement.scrollHeight"), TALLEST)
    shot = page.screenshot(full_page=True, clip={"x": 0, "y": 0, "width": WIDTH, "height": height})
    image = (
        Image.open(io.BytesIO(shot))
        .convert("RGB")
        .quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    )
    out = io.BytesIO()
    image.save(out, "PNG", optimize=True)
    return out.getvalue()


def main() -> None:
    """Take all pictures."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp()) / "chronicle"
    made = (folder / "project.yaml").exists()
    project = load_project(folder / "project.yaml") if made else prepare(folder)
    project = project.model_copy(update={"serving": ServingSettings(keep_content_days=1.0)})
    with served(project) as address, sync_playwright() as play:
        asked = {"queries": [LIVE | {"time": f"{DRAFT}-20T10:00:00+00:00"}]}
        httpx.post(f"{address}/v1/attributions", json=asked, timeout=120).raise_for_status()
        chromium = shutil.which("chromium")
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": 700}, color_scheme="light")
        for name, path in paths(project).items():
            page.goto(f"{address}{path}")
            (ASSETS / f"page-{name}.png").write_bytes(picture(page))
        phone = browser.new_page(viewport={"width": 390, "height": 844}, color_scheme="dark")
        phone.goto(f"{address}/periods/{DRAFT}")
        shot = (
            Image.open(io.BytesIO(phone.screenshot()))
            .convert("RGB")
            .quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
        )
        shot.save(ASSETS / "page-phone.png", "PNG", optimize=True)
        browser.close()


if __name__ == "__main__":
    main()
