"""Settling 10 million attributed queries for 1,000 publishers, compared with the SQL aggregation that it rests on.

- The month of `settle_rows` is valued and settled by the calls that `tribute run` makes. The aggregation
  (`source_sums`) is timed inside of them; the ratio is all of it (aggregation, intervals, valuation rows,
  statements, commits) to the aggregation alone. Files for people are not in it, and told apart.
- A bundle of 10,000 lines of 1,000 statements is signed and verified.
- 10,000 customers' fees over 1,000 publishers, by the policy `user_centric`.
"""

import json
import statistics
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from tests.benchmarks.lake_rows import Step, alone, step
from tests.benchmarks.results import update_results
from tests.benchmarks.settle_rows import PERIOD, RUN, fill, project
from tests.statements import statements
from tests.unit.royalty.proof.forger import facts_of
from tribute.catalog import period as valuing
from tribute.catalog import value_period
from tribute.royalty.division import Claim, Policy, allocate_shares
from tribute.royalty.proof import build_bundle, new_key, verify_bundle
from tribute.royalty.render import render_html, render_pdf
from tribute_jobs.period.settlement import commit, settlement
from tribute_jobs.period.statements import read_period
from tribute_storage import Lake

REPEATS, RENDERED = 3, 20
CUSTOMERS, PUBLISHERS, LINES_EACH = 10_000, 1_000, 9


def settle_once(folder: Path, repeat: int) -> dict[str, float]:
    """Value and settle the month anew: seconds of each step."""
    told = project(folder)
    told = told.model_copy(update={"valuation": told.valuation.model_copy(update={"resamples": 1_000 + repeat})})
    seconds: dict[str, float] = {}
    lake, aggregate = Lake(told.lake_root), valuing.source_sums
    valuing.source_sums = _timed(aggregate, seconds)
    try:
        valued = step(lambda: value_period(lake, told, PERIOD, RUN))
    finally:
        valuing.source_sums = aggregate
    built = step(lambda: settlement(read_period(told, PERIOD), valued.answer))
    committed = step(lambda: commit(lake, built.answer))
    seconds["valuation"] = valued.seconds - seconds["aggregation"]
    seconds |= {"statements": built.seconds, "commit": committed.seconds}
    first = built.answer.version.statements[0]
    pages = step(
        lambda: [(render_html(each), render_pdf(each)) for each in built.answer.version.statements[:RENDERED]]
    )
    seconds |= {"publishers": len(built.answer.version.statements), "lines_of_the_first": len(first.lines)}
    return seconds | {"html_and_pdf_of_a_statement": pages.seconds / RENDERED}


def _timed(function: Callable[..., Any], seconds: dict[str, float]) -> Callable[..., Any]:
    def timed(*args: Any, **named: Any) -> Any:
        began = time.perf_counter()
        try:
            return function(*args, **named)
        finally:
            seconds["aggregation"] = time.perf_counter() - began

    return timed


def bundle_of_10k() -> bytes:
    """1,000 statements with 10 lines each, in one currency."""
    names = [f"publisher-{index:04}" for index in range(PUBLISHERS)]
    issued = statements(PERIOD, names, LINES_EACH, [("EUR", "answers", 2_000_000_000)])
    return build_bundle(facts_of(issued[0]), issued, new_key()[0]).canonical()


def verify(content: bytes) -> list[float]:
    """Seconds of every verification."""
    found = []
    for _ in range(REPEATS):
        verified = step(lambda: verify_bundle(content))
        if verified.answer:
            raise AssertionError(verified.answer[0])
        found.append(verified.seconds)
    return found


def user_centric() -> dict[str, Any]:
    """10,000 customers, each with 20 of 1,000 publishers: seconds, and digits of the longest share."""
    rng = np.random.default_rng(4)
    own: list[dict[str, Fraction]] = [{} for _ in range(PUBLISHERS)]
    for customer in range(CUSTOMERS):
        for publisher in rng.choice(PUBLISHERS, 20, replace=False):
            own[publisher][f"customer-{customer}"] = Fraction(int(rng.integers(-(10**6), 10**7)), 10**6)
    one = Fraction(1)
    claims = [Claim(f"publisher-{index:04}", one, one, one, one, each) for index, each in enumerate(own)]
    fees = {f"customer-{customer}": Fraction(int(rng.integers(500, 3_000)), 100) for customer in range(CUSTOMERS)}
    divided = step(lambda: allocate_shares(Policy("u", basis="user_centric"), claims, fees))
    digits = max(len(str(share.denominator)) for share in divided.answer.shares().values())
    return {"seconds": divided.seconds, "digits_of_a_share": digits}


def measure(folder: Path) -> dict[str, Any]:
    """All parts, each in a process of its own."""
    project(folder)
    filled = alone(_fill, folder)
    print(json.dumps({"rows": filled.answer, "seconds": filled.seconds}), flush=True)
    settled: list[Step] = [alone(settle_once, folder, repeat) for repeat in range(REPEATS)]
    ratios = [_ratio(each.answer) for each in settled]
    bundled = alone(bundle_of_10k)
    verified = alone(verify, bundled.answer)
    return {
        "ratio_to_aggregation": statistics.median(ratios),
        "ratios": ratios,
        "rows": filled.answer,
        "seconds": {name: statistics.median(each.answer[name] for each in settled) for name in settled[0].answer},
        "peak_gib": max(each.peak_gib for each in settled),
        "verify_10k_lines_seconds": statistics.median(verified.answer),
        "verify_10k_lines_peak_gib": verified.peak_gib,
        "bundle_mb": len(bundled.answer) / 1e6,
        "sign_10k_lines_seconds": bundled.seconds,
        "user_centric_10k_customers": alone(user_centric).answer,
    }


def _fill(folder: Path) -> dict[str, int]:
    return fill(project(folder))


def _ratio(seconds: dict[str, float]) -> float:
    parts = ("aggregation", "valuation", "statements", "commit")
    return sum(seconds[part] for part in parts) / seconds["aggregation"]


def show(figures: dict[str, Any]) -> None:
    """The figures as a table."""
    table = Table(title="Settling a month", title_justify="left", show_header=False)
    for name, value in figures.items():
        for part, figure in value.items() if isinstance(value, dict) else [("", value)]:
            table.add_row(name, part, f"{figure:,.3f}" if isinstance(figure, float) else f"{figure}")
    Console(width=150).print(table)


def main() -> None:
    """All parts, to build/bench/settle.json."""
    with tempfile.TemporaryDirectory(prefix="tribute-settle-") as folder:
        figures = measure(Path(folder))
    show(figures)
    update_results("settle", figures)


if __name__ == "__main__":
    main()
