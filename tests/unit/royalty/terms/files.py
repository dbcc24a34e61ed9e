"""A file of terms, as an operator writes it."""

from pathlib import Path


def write(folder: Path, text: str, name: str = "terms.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path
