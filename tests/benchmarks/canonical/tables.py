"""Tables of the documentation from the rows of the published settings: `values` and `tables` of canonical.json.

python -m tests.benchmarks.canonical.tables > docs/benchmarks/canonical.json
"""

import json
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from tests.benchmarks.canonical.command import BANK
from tests.benchmarks.canonical.rows import HALVES, SHOWN, SINGLES, Row, filled
from tests.benchmarks.results import FOLDER
from tribute.evaluation.bank import PublishedFigure, RetrainBank
from tribute.evaluation.metrics import rank_correlation

COLUMNS = ["method", "LDS, other seeds", "LDS, same seed", "LDS, 1 % left out", "leave-one-out", "by deletion"]
COLUMNS += ["QLD, nats"]
COSTS = ["preparation, trainings", "query, forward passes", "stored, MB"]
DEPENDS = ("platform/tribute/training", "platform/tribute/simulation", "platform/tribute/readout")
DEPENDS += ("platform/tribute/estimators", "platform/tribute/evaluation", "tests/benchmarks/canonical")


def main() -> None:
    """Print the document of what was judged last; what it lacks is printed as well, to be filled in by hand."""
    settings: Mapping[str, Sequence[Row]] = json.loads((FOLDER / "canonical.json").read_text())["settings"]
    banks = {name: RetrainBank.read(BANK, name) for name in settings}
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
    document = {
        "title": "The field's own settings",
        "command": "make bench NAME=canonical",
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "commit": commit.stdout.strip(),
        "machine": "2 cores (x86-64), shared with other work; CPU build of torch 2.13; Python 3.11",
        "note": "Scores are those of the bank in tests/benchmarks/canonical/bank; costs are measured.",
        "depends_on": list(DEPENDS),
        "values": {f"{name}_best": best(rows, HALVES[0]) for name, rows in settings.items()}
        | {
            f"{name}_best_leave_one_out": best(rows, SINGLES[0])
            for name, rows in settings.items()
            if any(row[SINGLES[0]] for row in rows)
        }
        | {f"{name}_spread": _short(spread(bank)) for name, bank in banks.items() if bank.chosen("percent").any()}
        | {f"{name}_retraining": _short(found) for name, bank in banks.items() if (found := retraining(bank))},
        "tables": {name: table(rows, banks[name]) for name, rows in settings.items()},
    }
    print(json.dumps(document, indent=2, ensure_ascii=False))


def best(rows: Sequence[Row], metric: str) -> str:
    """The highest figure of a method of ours."""
    return _short(max((row[metric]["value"] for row in rows if row[metric] and not row["peer"]), default=0.0))


def spread(bank: RetrainBank) -> float:
    """Standard deviation, over the parts of a percent, of what the queries lose on average without one, nats."""
    return float(bank.measured_MQ[bank.chosen("percent")].mean(1, dtype=float).std(ddof=1))


def retraining(bank: RetrainBank) -> float | None:
    """LDS under other seeds of the halves' own retrainings under the seed of the model that is judged.

    None where the bank has no half under both.
    """
    own_M = bank.chosen("half") & (bank.seed_M == bank.settings.own_seed)
    other_M, mine, others = bank.chosen("half") & ~own_M, [], []
    for row in np.flatnonzero(own_M):
        same_M = other_M & (bank.kept_MN == bank.kept_MN[row]).all(1)
        mine.append(bank.measured_MQ[row])
        others.append(bank.measured_MQ[same_M].mean(0, dtype=float))
    return rank_correlation(np.stack(mine, 1), np.stack(others, 1)) if mine else None


def table(rows: Sequence[Row], bank: RetrainBank) -> dict[str, Any]:
    """One line a method, with 95% intervals, and one for every published method, the highest LDS first."""
    lines = [(_rank(row), [_name(row), *_scores(row), *_costs(row)]) for row in rows]
    for method in dict.fromkeys(figure.method for figure in bank.settings.published):
        mine = {figure.metric: figure for figure in bank.settings.published if figure.method == method}
        cells = [_short(mine[key].value) if key in mine else "" for key in SHOWN]
        rank = mine[HALVES[0]].value if HALVES[0] in mine else -1.0
        lines.append((rank, [f"*published: {method}*", *cells, "", "", ""]))
    titles, shown = filled(COLUMNS + COSTS, [cells for _, cells in sorted(lines, key=lambda line: -line[0])])
    return {"caption": caption(bank), "columns": titles, "rows": shown}


def caption(bank: RetrainBank) -> str:
    """The setting, how many retrainings there are, and where the published figures come from."""
    counts = {kind: int((bank.kind_M == kind).sum()) for kind in dict.fromkeys(bank.kind_M.tolist())}
    told = ", ".join(f"{count} of kind `{kind}`" for kind, count in counts.items())
    sources = "; ".join(dict.fromkeys(figure.source for figure in _figures(bank)))
    return f"{bank.settings.description} Retrainings: {told}. Published figures: {sources}."


def _figures(bank: RetrainBank) -> Sequence[PublishedFigure]:
    return bank.settings.published


def _rank(row: Row) -> float:
    return float(row[HALVES[0]]["value"]) if row[HALVES[0]] else -1.0


def _name(row: Row) -> str:
    name, _, more = row["method"].partition(", ")
    told = row["method"] if row["peer"] or " " in name else f"`{name}`{', ' * bool(more)}{more}"
    return f"{told} (other library)" if row["peer"] else told


def _scores(row: Row) -> list[str]:
    cells = []
    for figure in (row[key] for key in SHOWN):
        value, low, high = ("", "", "") if figure is None else map(_short, figure.values())
        cells.append(f"{value} [{low}, {high}]" if value else "")
    return cells


def _costs(row: Row) -> list[str]:
    stored = "" if row["bytes"] is None else f"{row['bytes'] / 1e6:,.1f}"
    return [f"{row['prepare_in_trainings']:.1f}", f"{row['query_in_forwards']:,.0f}", stored]


def _short(value: float) -> str:
    """Three digits without the leading zero, as `.802`."""
    return f"{value:.3f}".replace("0.", ".", 1).replace("-", "−")


if __name__ == "__main__":
    main()
