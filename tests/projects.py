"""Small real projects for tests: text of four sources, three publishers, one shared source."""

import json
import random
from pathlib import Path

import yaml

WORDS = {
    "daily": "minister budget parliament vote election policy debate council reform treaty".split(),
    "recipes": "butter flour sugar oven whisk simmer garlic onion pepper roast".split(),
    "sports": "goal match league striker referee penalty season coach stadium injury".split(),
    "weather": "rain storm cloud sunshine frost wind forecast humid drizzle thunder".split(),
}
RETRAINED = {"budget": 3, "resamples": 200}
"""Section `valuation` of a project whose values rest on trainings without sources too."""
SOURCES_CSV = """source_id,publisher_id,split,valid_from,valid_to
daily,planet,1,,
recipes,kitchen,1/3,,
recipes,planet,2/3,,
sports,arena,1,,
weather,arena,1,2020-01-01,
"""


def article(source: str, number: int, sentences: int = 6) -> str:
    """A text of a source's own words, the same for the same number; `daily-2` has the words of `daily`."""
    rng = random.Random(f"{source}-{number}")
    words = WORDS[source.partition("-")[0]]
    lines = [" ".join(rng.choice(words) for _ in range(8)) for _ in range(sentences)]
    return ". ".join(line.capitalize() for line in lines) + "."


def write_corpus(path: Path, articles: dict[str, int]) -> None:
    """A .jsonl corpus with this many articles per source."""
    rows = [
        {"source": source, "text": article(source, number)}
        for source, count in articles.items()
        for number in range(count)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def write_usage(path: Path, month: str, uses: int = 12) -> list[dict]:
    """A usage file: texts like those of every source, by two customers."""
    rows = [
        {
            "query_id": f"q{number:03d}",
            "text": article(list(WORDS)[number % 4], 1000 + number, sentences=2),
            "time": f"{month}-{1 + number % 28:02d}T12:00:00+00:00",
            "customer_id": f"customer-{number % 2}",
            "weight": 1 + number % 3,
        }
        for number in range(uses)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return rows


def settings(**sections: object) -> dict:
    """`project.yaml` of a project that runs in seconds."""
    return {
        "name": "press",
        "corpus": {"kind": "text", "path": "corpus.jsonl", "window": 33},
        "rights": {"sources": "sources.csv"},
        "task": {"name": "byte_lm", "options": {"context": 32, "width": 16, "heads": 2, "layers": 1}},
        "training": {"learning_rate": 0.01, "batch_size": 8, "epochs": 2, "replicates": 2},
        "simulation": {"horizon": 0.3, "chunk": 2, "checkpoint_every": 4},
        "queries": {"kind": "usage", "path": "usage.jsonl"},
        "pool": {"amount": "1000.01", "currency": "EUR"},
        "valuation": {"budget": 0, "resamples": 200},  # trainings without sources: see `RETRAINED`
        "tracking": {"enabled": False},
        "cluster": {"workers": 1},  # starts soonest
    } | sections


def write_project(folder: Path, **sections: object) -> Path:
    """A whole project folder; its `project.yaml`."""
    folder.mkdir(parents=True, exist_ok=True)
    write_corpus(folder / "corpus.jsonl", {"daily": 9, "recipes": 6, "sports": 5, "weather": 4})
    write_usage(folder / "usage.jsonl", "2026-10")
    (folder / "sources.csv").write_text(SOURCES_CSV)
    path = folder / "project.yaml"
    path.write_text(yaml.safe_dump(settings(**sections)))
    return path
