"""Contributions sum to attributions, and by customer to values, under caps and with failed replicates."""

import json
import math
from datetime import UTC, datetime
from fractions import Fraction as F
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tribute.catalog import Valuation, customer_values, read_valuation, source_contributions, valued_runs
from tribute.catalog.sums import source_sums
from tribute.config import Project, load_project
from tribute.errors import ValuationError
from tribute.valuation.aggregate import filled
from tribute_storage import SCHEMAS, Lake, open_tables

CUSTOMERS = ("flood", "flood", "ada", None, "bob", "flood", "ada", None)
USES = (9.0, 8.0, 2.0, 3.0, 1.5, 4.0, 0.5, 1.0)
RUNS = ("attribute-batch", "attribute-service")
SPLITS = {("p", "whole"): "1/1", ("p", "failed_once"): "1/3", ("q", "failed_once"): "2/3", ("q", "other"): "1/1"}
SOURCES = ("failed_once", "other", "whole")
CAPS = pytest.mark.parametrize("cap", [None, "1/4", "2/5", "1"])


def influences() -> np.ndarray:
    """Replicates, queries, sources; one source's second simulation failed."""
    found = np.random.default_rng(0).normal(size=(2, len(USES), len(SOURCES))).astype(np.float32).astype(float)
    found[1, :, 0] = np.nan
    return found


def made(folder: Path, cap: str | None, coefficient: float = 1.0, moved: float = 0.0) -> tuple[Project, Valuation]:
    """A project with a policy, whose lake holds two runs of queries, their valuation, and a third run.

    Args:
        coefficient: what a simulated nat is worth.
        moved: by how much every value differs from its attribution, nats.
    """
    policy = "" if cap is None else f"policy: {{customer_cap: '{cap}'}}\n"
    path = folder / "project.yaml"
    path.write_text(f"name: p\ncorpus: {{kind: installed_docs}}\nworkdir: {folder}/data\n{policy}")
    project = load_project(path)
    lake = Lake(project.lake_root)
    for run, numbers in ((RUNS[0], range(5)), (RUNS[1], range(5, len(USES))), ("attribute-replaced", range(8))):
        append(lake, run, list(numbers))
    with open_tables(lake.root) as connection:
        limit = None if cap is None else F(cap)
        sums = source_sums(connection, "simulate-1", "2026-10", RUNS, SOURCES, limit)
    nats_S = filled(sums.nats_RGS, np.full(3, 1 / 3)).sum(1).mean(0)
    lines = {pair: float(F(split)) * nats_S[SOURCES.index(pair[1])] for pair, split in SPLITS.items()}
    rows = [row(publisher, source, SPLITS[publisher, source], nats) for (publisher, source), nats in lines.items()]
    for publisher in "pq":
        own = math.fsum(nats for (name, _), nats in lines.items() if name == publisher)
        rows.append(row(publisher, None, "1", own) | {"level": "publisher", "value_nats": own + moved})
    note = json.dumps({"coefficients": {"simulated": coefficient}})
    rows = [each | {"calibration": note} for each in rows]
    lake.append("valuations", "value-1", pa.Table.from_pylist(rows, SCHEMAS["valuations"]))
    return project, Valuation("value-1", "2026-10", read_valuation(lake, "value-1"), True)


def append(lake: Lake, run: str, numbers: list[int]) -> None:
    common = {"run_id": run, "simulate_run": "simulate-1", "period": "2026-10", "origin": run.partition("-")[2]}
    common |= {"time": datetime(2026, 10, 7, tzinfo=UTC), "similarity": 1.0, "unlike_corpus": False}
    common |= {"readout_probability": 1.0, "measurement_nats": 1.0, "content_sha256": "0"}
    queries = [
        common
        | {"query_id": f"q{n}", "customer_id": CUSTOMERS[n], "weight": USES[n] / 2, "inclusion_probability": 0.5}
        for n in numbers
    ]
    nats = [
        {"run_id": run, "query_id": f"q{n}", "source_id": source, "replicate": r, "std_error_nats": 0.0}
        | {"influence_nats": value}
        for r, of_replicate in enumerate(influences())
        for n in numbers
        for source, value in zip(SOURCES, of_replicate[n].tolist(), strict=True)
        if not math.isnan(value)
    ]
    lake.append("influence", run, pa.Table.from_pylist(nats, SCHEMAS["influence"]))
    lake.append("queries", run, pa.Table.from_pylist(queries, SCHEMAS["queries"]))


def row(publisher: str, source: str | None, split: str, nats: float) -> dict[str, object]:
    told = {"run_id": "value-1", "simulate_run": "simulate-1", "period": "2026-10", "level": "line"}
    told |= {"publisher_id": publisher, "source_id": source, "split": split, "attribution_nats": nats}
    told |= dict.fromkeys(("value_nats", "ci_low_nats", "ci_high_nats", "shrinkage"), 0.0)
    told |= {"queries": 8, "tokens": 1.0, "token_share": 0.5, "notion": "leave_one_out", "calibration": "{}"}
    return told | {"share": "1/2", "attribute_runs": list(RUNS)}


@CAPS
def test_a_line_s_queries_sum_to_its_attribution(tmp_path: Path, cap: str | None) -> None:
    project, valuation = made(tmp_path, cap)
    lines = [each for each in valuation.rows.to_pylist() if each["level"] == "line"]
    for line in lines:
        with open_tables(project.lake_root) as connection:
            found = source_contributions(connection, "value-1", line["source_id"], cap and F(cap))
        assert len(found) == len(USES), "not those of the run that was replaced"
        nats = [float(F(line["split"])) * each.nats for each in found]
        assert math.fsum(nats) == pytest.approx(line["attribution_nats"], abs=1e-9)
        assert [abs(each) for each in nats] == sorted(map(abs, nats), reverse=True)
        parts = {each.customer_id: 0.0 for each in found if each.customer_id}
        for each in found:
            if each.customer_id:
                parts[each.customer_id] += each.uses
        level = max(F(cap), F(1, 3)) if cap else 1
        assert max(parts.values()) <= float(level) * sum(parts.values()) + 1e-9
        by_id = {each.query_id: each for each in found}
        assert (by_id["q3"].uses, by_id["q3"].day, by_id["q3"].customer_id) == (3, "2026-10-07", None)


@CAPS
@pytest.mark.parametrize(("coefficient", "moved"), [(1.0, 0.0), (0.4, 7.0), (0.0, -7.0)])
def test_what_customers_gave_sums_to_the_publisher_s_value(
    tmp_path: Path, cap: str | None, coefficient: float, moved: float
) -> None:
    project, valuation = made(tmp_path, cap, coefficient, moved)
    found = customer_values(project, valuation)
    for publisher in valuation.publishers():
        own = found[publisher["publisher_id"]]
        assert set(own) == {"", "ada", "bob", "flood"}
        assert float(sum(own.values())) == pytest.approx(publisher["value_nats"], abs=1e-7)


def test_harm_that_trainings_found_counts_in_every_customer_s_queries(tmp_path: Path) -> None:
    """Values of -1,000 nats below what was simulated leave no customer's fee to either publisher."""
    project, valuation = made(tmp_path, None, moved=-1000.0)
    assert all(nats < 0 for own in customer_values(project, valuation).values() for nats in own.values())


def test_a_source_counts_the_replicates_it_has(tmp_path: Path) -> None:
    """Bob's one query, by hand: the source that failed once has one replicate, the others the mean of two."""
    project, valuation = made(tmp_path, None)
    first, mean = influences()[0, 4], np.nanmean(influences()[:, 4], axis=0)
    assert mean[0] == first[0] and mean[1] != first[1]
    found = customer_values(project, valuation)
    assert float(found["p"]["bob"]) == pytest.approx(1.5 * (mean[2] + mean[0] / 3), rel=1e-8)
    assert float(found["q"]["bob"]) == pytest.approx(1.5 * (mean[1] + mean[0] * 2 / 3), rel=1e-8)


def test_a_valuation_that_does_not_say_what_it_summed_is_refused(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    old = row("p", "whole", "1", 1.0) | {"attribute_runs": None}
    lake.append("valuations", "value-1", pa.Table.from_pylist([old], SCHEMAS["valuations"]))
    with open_tables(lake.root) as connection:
        with pytest.raises(
            ValuationError, match=r"value-1 does not list the attribution runs that it summed: .* fresh working"
        ):
            valued_runs(connection, "value-1")
        with pytest.raises(ValuationError, match="holds no valuation value-2"):
            valued_runs(connection, "value-2")
