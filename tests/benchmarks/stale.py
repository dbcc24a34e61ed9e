"""Which figures of the documentation were measured before their code changed: `make bench STALE=1`.

Every file in `docs/benchmarks/` names the commit that it was measured at and the paths that it depends on.
"""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
FIGURES = ROOT / "docs" / "benchmarks"
SHOWN = 3  # newest changes shown for each file


def main() -> None:
    for path in sorted(FIGURES.glob("*.json")):
        figures = json.loads(path.read_text())
        changes = changes_since(figures["commit"], figures["depends_on"])
        print("\n".join(lines(path.stem, figures, changes)))


def changes_since(commit: str, paths: list[str], root: Path = ROOT) -> list[str] | None:
    """One line for each later commit that changed a path, the newest first; None: the commit is unknown here."""
    missing = [path for path in paths if not (root / path).exists()]
    if missing:
        raise SystemExit(f"{', '.join(missing)}: no such path. Mend depends_on in docs/benchmarks")
    if _git(root, "cat-file", "-e", f"{commit}^{{commit}}") is None:
        return None
    told = _git(root, "log", "--format=%h %ad %s", "--date=short", f"{commit}..HEAD", "--", *paths)
    return (told or "").splitlines()


def lines(name: str, figures: dict, changes: list[str] | None) -> Iterator[str]:
    """What to print about one file."""
    measured = f"{name}: measured {figures['date']} at {figures['commit']}"
    if changes is None:
        yield f"{measured}; this clone lacks that commit, so it cannot be compared"
    elif not changes:
        yield f"{measured}; its code has not changed since"
    else:
        count = f"{len(changes)} commit{'s' if len(changes) > 1 else ''}"
        yield f"{measured}; STALE: {count} changed its code since. Measure again: {figures['command']}"
        yield from (f"    {change}" for change in changes[:SHOWN])
        if len(changes) > SHOWN:
            yield f"    and {len(changes) - SHOWN} more"


def _git(root: Path, *arguments: str) -> str | None:
    """Output of a git command; None: it failed."""
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else None


if __name__ == "__main__":
    main()
