"""Tables of the documentation from build/bench/evaluation.json: estimators.json and peers.json of docs/benchmarks.

python -m tests.benchmarks.evaluation.tables

A setting that has not been judged, or whose peers have another truth, has no column.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import distributions, version
from pathlib import Path
from typing import Any

from tests.benchmarks.evaluation.settings import JUDGED, LDS_SEEDS, MNIST, SETS, TRUTH
from tests.benchmarks.peers.environment import FOLDER as PEERS_FOLDER
from tests.benchmarks.results import FOLDER

DOCS = Path(__file__).parents[3] / "docs" / "benchmarks"
TITLES = {"thousand": "MNIST 1,000", "smooth": "smooth", "rough": "rough", "transformer": "transformer"}
COSTS = ["preparation, trainings", "query, forward passes", "stored, MB"]
COLUMNS = ["method", "LDS, other seeds", "LDS, same seed", "leave-source-out", "misallocated", *COSTS]
SCORES = ("lds_half_other_seed", "lds_half_same_seed", "leave_source_out")
OTHER = " (other library)"
DEFAULT = "`difference`, paired 20% (the default)"
HEAD = "distilled head, three replicates"
RENAMED = {
    "difference, retrained": "real retraining without each source",
    "difference, paired 20%": DEFAULT,
    "distilled head, paired 20%, 3 replicates": HEAD,
    "distilled, the head alone, paired 20%": HEAD,
    "label match": "label or source match",
    "source match": "label or source match",
}
MATCHED = {
    "traker, TRAK": "TRAK, margin, 1 model",
    "traker, TRAK, ten models": "TRAK, margin, 10 models",
    "kronfluence, EK-FAC, default damping": "kronfluence EK-FAC, margin, damping 1e-8",
    "kronfluence, EK-FAC, best of four dampings": "kronfluence EK-FAC",
    "dattri, influence by CG": "dattri IF-CG",
    "dattri, TracIn": "dattri TracIn",
    "dattri, gradient products": "dattri Grad-Dot",
    "dattri, last layer explicit (no counterpart)": "dattri last-layer",
}
"""The peers as the table names them, and how their names begin; the best where there are several."""
DEPENDS = [
    *(
        f"platform/tribute/{room}"
        for room in ("training", "simulation", "readout", "tasks", "estimators", "evaluation")
    ),
    "tests/benchmarks/evaluation",
    "tests/benchmarks/estimates.py",
    "tests/benchmarks/peers",
    "tests/benchmarks/mnist.py",
    "tests/benchmarks/worlds.py",
]
Row = Mapping[str, Any]
Results = Mapping[str, Mapping[str, Any]]


def main() -> None:
    """Write both files."""
    found: Results = json.loads((FOLDER / "evaluation.json").read_text())
    settings = [name for name in TITLES if name in found]
    if not settings:
        sys.exit(f"{FOLDER / 'evaluation.json'} holds no setting. First run: make bench NAME=evaluation PEERS=1")
    rows = {name: judged(found, name) for name in settings}
    tables = {name: setting_table(name, rows[name]) for name in settings}
    tables |= {"lds": overview(rows), "misallocated": misallocated_table(rows)}
    write("estimators", "Estimators against real retraining", told(rows), tables)
    lines = {name: found[f"{name}-peers"]["versus"] for name in settings if peers_of(found, name)}
    if lines:
        write("peers", "Other libraries on the same models", advantages(lines), {"versus": versus_table(lines)})


def write(name: str, title: str, values: Mapping[str, Any], tables: Mapping[str, Any]) -> None:
    """Write docs/benchmarks/NAME.json."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
    document = {
        "title": title,
        "command": "make bench NAME=evaluation PEERS=1",
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "commit": commit.stdout.strip(),
        "machine": f"2 cores (x86-64), shared with other work; torch {version('torch')}; Python 3.11",
        "note": "Costs are processor time of one thread.",
        "depends_on": DEPENDS,
        "values": values,
        "tables": tables,
    }
    path = DOCS / f"{name}.json"
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    print(f"wrote {path}")


def told(rows: Mapping[str, Mapping[str, Row]]) -> dict[str, str]:
    """Figures of the first setting that the page tells in its text."""
    first = next(iter(rows.values()))
    chosen = {"retraining": "real retraining without each source", "default": DEFAULT}
    chosen |= {name: f"`{name}`" for name in ("astra", "conjugate_gradient", "ekfac", "adamw_influence")}
    found = {key: first[name] for key, name in chosen.items() if name in first}
    return {key: _short(row[SCORES[0]]) for key, row in found.items()} | {
        f"{key}_trainings": _significant(row["prepare_in_trainings"]) for key, row in found.items()
    }


def judged(found: Results, setting: str) -> dict[str, Row]:
    """The rows of a setting by the name that tables show: one replicate, but the demo's mean of three."""
    rows = {name: row for row in found[setting]["rows"] if (name := shown(setting, row))}
    return rows | {row["method"] + OTHER: row for row in peers_of(found, setting)}


def peers_of(found: Results, setting: str) -> Sequence[Row]:
    """The rows of other libraries, if they were judged by the same retrainings."""
    peers = found.get(f"{setting}-peers")
    same = peers is not None and peers["digest"] == found[setting]["digest"]
    return peers["rows"] if peers is not None and same else ()


def shown(setting: str, row: Row) -> str | None:
    """What tables call a method; None: it is another read-out of the same, or has no order of sources."""
    name, single = row["method"], ", 1 replicate"
    if row.get("lds_half_other_seed") is None:
        return None
    if setting == "transformer":
        if name.endswith(single):
            return None
        name = re.sub(r", \d replicates$", "", name) + ", paired 20%" * (row["kind"] == "readout")
    elif row["kind"] == "readout" and not name.endswith(single) and name not in RENAMED:
        return None
    name = name.removesuffix(single)
    if name == "jvp, retrained":
        return None
    first, _, rest = name.partition(", ")
    plain = row["kind"] == "baseline" or " " in first
    return RENAMED.get(name) or (name if plain else f"`{first}`{', ' * bool(rest)}{rest}")


def setting_table(setting: str, rows: Mapping[str, Row]) -> dict[str, Any]:
    """One line a method, the best first."""
    ranked = sorted(rows.items(), key=lambda item: -item[1][SCORES[0]])
    lines = [[name, *(_score(row, key) for key in SCORES), _percent(row), *_costs(row)] for name, row in ranked]
    return {"caption": _caption(setting), "columns": COLUMNS, "rows": lines}


def overview(rows: Mapping[str, Mapping[str, Row]]) -> dict[str, Any]:
    """LDS of every method of ours in every setting, and its costs in the first."""
    first = next(iter(rows))
    caption = (
        "LDS (random halves of the sources, other seeds) of one replicate, on the transformer (the demo) of the "
        "mean of three; 95 % intervals over queries and halves. Costs are processor time of one thread, those of "
        f"{TITLES[first]}."
    )
    lines = [
        [
            name,
            *(_score(each[name], SCORES[0]) if name in each else "" for each in rows.values()),
            *_costs(rows[first].get(name)),
        ]
        for name in _own(rows)
    ]
    return {"caption": caption, "columns": ["method", *(TITLES[each] for each in rows), *COSTS], "rows": lines}


def misallocated_table(rows: Mapping[str, Mapping[str, Row]]) -> dict[str, Any]:
    """Misallocated pool of the same rows, a star where a count of tokens misallocates less."""
    caption = (
        "Misallocated pool of the same rows, uncalibrated. A star marks a method that sends more of the pool to "
        "the wrong publisher than a token count does."
    )
    lines = []
    for name in _own(rows):
        cells = [_percent(each.get(name)) for each in rows.values()]
        above = [
            bool(cell) and each[name]["misallocated_pool"] > each["token count"]["misallocated_pool"]
            for cell, each in zip(cells, rows.values(), strict=True)
        ]
        lines.append([name, *(cell + " *" * star for cell, star in zip(cells, above, strict=True))])
    return {"caption": caption, "columns": ["method", *(TITLES[each] for each in rows)], "rows": lines}


def _own(rows: Mapping[str, Mapping[str, Row]]) -> list[str]:
    """Our methods and baselines, by their LDS in the first setting that has them."""
    names = dict.fromkeys(name for each in rows.values() for name in each if not name.endswith(OTHER))
    quality = {n: next(each[n][SCORES[0]] for each in rows.values() if n in each) for n in names}
    return sorted(quality, key=lambda name: -quality[name])


def versus_table(lines: Mapping[str, Sequence[Row]]) -> dict[str, Any]:
    """Each peer with its costs in the first setting and its LDS in all, and those of our version of the method."""
    first = next(iter(lines))
    columns = ["library and method", *COSTS, *(f"LDS, {TITLES[name]}" for name in lines)]
    rows = []
    for name, begins in MATCHED.items():
        line = _best(lines[first], begins)
        both = [line, line["same"]]
        costs = zip(*(_costs(each) for each in both if each), strict=True)
        scores = [_pair(_best(each, begins)) for each in lines.values()]
        rows.append([name, *(", ".join(pair) for pair in costs), *scores])
    versions = ", ".join(f"{name} {number}" for name, number in peer_versions())
    caption = (
        f"The same models, retrainings and {len(JUDGED)} queries; settings tuned on other queries. {versions}. "
        f"Costs are processor time of one thread, those of {TITLES[first]}. Each cell: theirs, ours."
    )
    return {"caption": caption, "columns": columns, "rows": rows}


def peer_versions() -> Iterator[tuple[str, str]]:
    """The libraries that were installed."""
    folders = [str(path) for path in PEERS_FOLDER.glob("lib/*/site-packages")]
    for each in sorted(distributions(path=folders), key=lambda each: each.name):
        if each.name in ("traker", "kronfluence", "dattri"):
            yield each.name, each.version


def advantages(lines: Mapping[str, Sequence[Row]]) -> dict[str, str]:
    """What the page says of all comparisons: how many hold, at what cost, and which do not."""
    same = [(name, line) for name, each in lines.items() for line in each if line["same"]]
    ratios = [line["query_in_forwards"] / line["same"]["query_in_forwards"] for _, line in same]
    leads = [line["best"]["lead"] for each in lines.values() for line in each if line["best"]]
    exceptions = [
        f"{line['peer']} on {TITLES[name]} ({_short(line['lds'])} to {_short(line['same']['lds'])})"
        for name, line in same
        if not line["same"]["holds"]
    ]
    return {
        "comparisons": str(len(same)),
        "held": str(sum(line["same"]["holds"] for _, line in same)),
        "exceptions": "; ".join(exceptions) or "none",
        "cost_ratio": f"{min(ratios):,.1f} to {max(ratios):,.0f}",
        "best_gain": f"{_short(min(leads))} to {_short(max(leads))}",
    } | _ten_models([line for _, line in same])


def _ten_models(lines: Sequence[Row]) -> dict[str, str]:
    """The preparation of TRAK with ten models, in the first setting in which both sides have it."""
    both = next(
        ([line["same"], line] for line in lines if line["peer"] == MATCHED["traker, TRAK, ten models"]), []
    )
    keys = ("trak_ours_trainings", "trak_theirs_trainings")
    return {key: _significant(each["prepare_in_trainings"]) for key, each in zip(keys, both, strict=False)}


def _best(lines: Sequence[Row], begins: str) -> Row:
    return max((line for line in lines if line["peer"].startswith(begins)), key=lambda line: line["lds"])


def _pair(line: Row) -> str:
    return ", ".join(_short(each["lds"]) for each in (line, line["same"]) if each)


def _caption(setting: str) -> str:
    if setting not in MNIST:
        return "The demo, by `tribute evaluate` with all estimators; the mean of three replicates. 95 % intervals."
    return (
        f"{TITLES[setting]}: {len(JUDGED)} queries; {SETS} random halves of 20 sources, retrained under "
        f"{LDS_SEEDS} other seeds and the own one, and retraining without each source under {len(TRUTH)} other "
        "seeds. 95 % intervals over queries and halves."
    )


def _score(row: Row, key: str) -> str:
    if row.get(key) is None:
        return ""
    low, high = row["intervals"][key]
    return f"{_short(row[key])} [{_short(low)}, {_short(high)}]"


def _percent(row: Row | None) -> str:
    return (
        ""
        if row is None or row["misallocated_pool"] is None
        else f"{row['misallocated_pool']:.0%}".replace("%", " %")
    )


def _costs(row: Row | None) -> list[str]:
    if row is None:
        return ["", "", ""]
    stored = row.get("bytes", row.get("stored_bytes"))
    costs = [row["prepare_in_trainings"], row["query_in_forwards"], None if stored is None else stored / 1e6]
    return ["" if cost is None else _significant(cost) for cost in costs]


def _significant(cost: float) -> str:
    """Two digits where it is small: 0.36, 2.9, 67."""
    digits = 0 if cost >= 10 or cost == 0 else 1 if cost >= 1 else 2
    return f"{cost:,.{digits}f}"


def _short(value: float) -> str:
    """Two digits without the leading zero, as `.80`."""
    return f"{value:.2f}".replace("0.", ".", 1).replace("-", "−")


if __name__ == "__main__":
    main()
