"""The certificate: self-contained, the same every time, honest about what was not measured, safe."""

import json
import re
from html import unescape
from itertools import pairwise
from typing import Any

import matplotlib as mpl
import pytest

from tribute.evaluation import Certificate
from tribute.evaluation.certificate import render_certificate
from tribute.evaluation.figures import EffectFigures, MethodFigures, PayeeFigures
from tribute.evaluation.plots import cost_plot, coverage_plot, effects_plot, largest_intervals, pareto_front


def estimate(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.05, "high": value + 0.05}


def row(method: str, kind: str, quality: float | None, forwards: float | None) -> MethodFigures:
    measures = ("lds_half_other_seed", "lds_half_same_seed", "lds_tenth_other_seed", "leave_source_out")
    return MethodFigures(
        method=method,
        kind=kind,
        **{name: None if quality is None else estimate(quality) for name in measures},
        misallocated_pool=0.0717,
        prepare_in_trainings=1.4,
        query_in_forwards=forwards,
    )


def interval(number: int, source_id: str | None = None) -> PayeeFigures:
    value = 0.2 * 0.93**number
    truth = value + (0.05 if number == 2 else 0.001)
    name = source_id or f"source-{number}"
    return PayeeFigures(source_id=name, value=value, low=value - 0.01, high=value + 0.01, truth=truth)


def figures(**changes: Any) -> Certificate:
    found = {
        "project": "gutenberg",
        "period": "2026-10",
        "evaluate_run": "evaluate-0123456789ab",
        "simulate_run": "simulate-0123456789ab",
        "train_run": "train-0123456789ab",
        "corpus_run": "corpus-0123456789ab",
        "parameters": 10_812_416,
        "sources": 42,
        "payees": 12,
        "queries": {"tuning": 64, "figures": 128, "unlike_corpus": 32},
        "retrains": {"seeds": [0, 7], "leave_one_out": 84, "half": 48, "tenth": 24, "other": 12, "banked": 140,
                     "new": 28},
        "headline": {"misallocated_pool": 0.0613, "token_count": 0.2134, "equal": 0.3377, "ceiling": 0.0421,
                     "coverage_95": 0.9286},
        "rows": [row("calibrated", "payment", 0.8, 0), row("tangent", "readout", 0.7, 2.0),
                 row("TrackStar", "readout", 0.4, 12.0), row("token count", "baseline", 0.1, None)],
        "ceiling": {"lds_half": 0.88, "lds_tenth": 0.71, "leave_source_out": 0.83, "misallocated_pool": 0.0421},
        "tail_patch": {"top": 0.0123, "mean": 0.0021, "token_count": 0.0034},
        "brittleness": [{"removed": 1, "attribution": 0.11, "token_count": 0.04},
                        {"removed": 3, "attribution": 0.26, "token_count": 0.15}],
        "smoothness": 0.08,
        "effects": [{"predicted": 2.0, "real": 2.5, "removed": "one"},
                    {"predicted": 1.0, "real": 0.5, "removed": "one"},
                    {"predicted": 90.0, "real": 99.0, "removed": "half"}],
        "intervals": [interval(n) for n in range(5)],
        "warnings": ["Only 2 seeds."],
        "software": {"torch": "2.9.0"},
        "read_out": "tangent",
        **changes,
    }  # fmt: skip
    return Certificate(**found)


def text_of(page: str) -> str:
    body = page[page.index("<body>") :]
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", re.sub(r"<style.*?</style>", "", body, flags=re.S))).split())


def unmeasured(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: unmeasured(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [unmeasured(inner) for inner in value]
    return None if isinstance(value, float) else value


PAGE = render_certificate(figures())
NOTHING = {
    "null numbers": Certificate.model_validate_json(json.dumps(unmeasured(json.loads(figures().json_text())))),
    "empty lists": figures(intervals=(), warnings=(), rows=(), brittleness=(), effects=(), tail_patch=None),
}


def test_the_same_figures_give_the_same_bytes() -> None:
    """Also under settings of matplotlib that the process happens to have, which are left as they were."""
    with mpl.rc_context({"lines.linewidth": 9, "font.size": 30, "svg.fonttype": "path"}):
        assert render_certificate(figures()) == PAGE
        assert mpl.rcParams["font.size"] == 30


def test_nothing_is_fetched_and_nothing_runs() -> None:
    assert "<script" not in PAGE
    standards = {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert set(re.findall(r"https?://[^\"' <]*", PAGE)) == standards
    assert set(re.findall(r'\bxmlns(?::xlink)?="([^"]*)"', PAGE)) == standards
    assert re.findall(r'url\((?!#)|@import|\bsrc=|href="(?!#)', PAGE) == []


def test_ids_are_unique_and_every_reference_has_its_target() -> None:
    ids = re.findall(r'\bid="([^"]*)"', PAGE)
    assert len(ids) == len(set(ids))
    assert PAGE.count("<svg ") == 3
    used = re.findall(r'(?:href="#|url\(#)([^")]*)', PAGE)
    assert used
    assert set(used) <= set(ids)


def test_the_headline_comes_first_and_the_glossary_last() -> None:
    text = text_of(PAGE)
    parts = ["gutenberg, October 2026", "evaluate-0123456789ab", "6.1% of the pool", "21.3%", "33.8%", "4.2%"]
    parts += ["Only 2 seeds.", "Do predictions", "methods compared", "Tail-patch", "How it was computed", "Words"]
    places = [text.index(part) for part in parts]
    assert places == sorted(places)


def test_the_facts_are_told() -> None:
    text = text_of(PAGE)
    for part in ("92.9% of the truths", "0.70 0.65–0.75", "7.2%", "10,812,416 parameters", "3: 0.26 (0.15)",
                 "168: without one source 84", "gains a query 0.012 nats", "seeds 0, 7", "8.0%", "torch 2.9.0",
                 "Inside for 4 of 5 sources shown."):  # fmt: skip
        assert part in text


def test_the_lake_s_json_gives_the_same_certificate_and_the_same_bytes() -> None:
    text = figures(headline=figures().headline.model_copy(update={"equal": float("nan")})).json_text()
    assert Certificate.model_validate_json(figures().json_text()) == figures()
    assert Certificate.model_validate_json(text).json_text() == text
    assert json.loads(text)["headline"]["equal"] is None
    assert text == json.dumps(json.loads(text), sort_keys=True)


@pytest.mark.parametrize("name", NOTHING)
def test_what_was_not_measured_is_a_dash(name: str) -> None:
    text = text_of(render_certificate(NOTHING[name]))
    assert text.count("Not measured.") == 3
    assert not re.search(r"\b(None|nan|inf|null|Undefined)\b", text)
    assert ("was not measured (–)" in text) == (name != "empty lists")


@pytest.mark.parametrize("absent", [None, float("nan"), float("inf")])
def test_one_absent_number_takes_only_itself_away(absent: float | None) -> None:
    unknown = {"value": absent, "low": None, "high": None}
    broken = MethodFigures(**dict(row("broken", "readout", None, 3.0)) | {"lds_half_other_seed": unknown})
    rows = [row("tangent", "readout", 0.7, absent), broken]
    effects = [
        EffectFigures(predicted=absent, real=1.0, removed="one"),
        EffectFigures(predicted=1.0, real=2.0, removed="half"),
    ]
    assert "one source removed" not in effects_plot(effects)
    assert "half removed, 1 retrainings" in effects_plot(effects)
    assert ">tangent</text>" in cost_plot(rows, absent)
    assert "broken" not in cost_plot(rows)
    assert largest_intervals([PayeeFigures(**dict(interval(0)) | {"low": absent}), interval(1)]) == [interval(1)]
    assert render_certificate(figures(rows=rows, effects=effects))


def test_what_a_method_stores_stands_beside_its_costs() -> None:
    kept = MethodFigures(**dict(row("trak", "estimator", 0.4, 71.0)) | {"stored_bytes": 12_345_678})
    text = text_of(render_certificate(figures(rows=[kept, row("token count", "baseline", 0.1, 0)])))
    assert "7.2% 1.4 71 12" in text and "7.2% 1.4 0 –" in text


def test_negative_estimates_read_as_intervals() -> None:
    text = text_of(render_certificate(figures(rows=[row("random", "baseline", -0.01, 0)])))
    assert "−0.01 −0.06 to 0.04" in text


def test_text_of_others_is_escaped() -> None:
    hostile = '</title><script>alert("1")</script>$x^2$'
    one = figures(
        project=hostile,
        software={hostile: hostile},
        warnings=[hostile],
        rows=[row(hostile, "readout", 0.5, 1.0)],
        intervals=[interval(0, hostile)],
    )
    page = render_certificate(one)
    assert "<script" not in page
    assert page.count("</title>") == PAGE.count("</title>")
    assert page.count("&lt;script&gt;") >= 6
    assert ">&lt;/title&gt;&lt;script&gt;ale…</text>" in page


def test_at_most_thirty_intervals_are_shown_and_the_page_says_so() -> None:
    many = [interval(n) for n in reversed(range(42))]
    assert [i.source_id for i in largest_intervals(many)] == [f"source-{n}" for n in range(30)]
    labels = re.findall(r">(source-\d+)</text>", coverage_plot(many))
    assert sorted(labels) == sorted(f"source-{n}" for n in range(30))
    assert "Inside for 29 of 30 sources shown (the 30 largest of 42)." in text_of(
        render_certificate(figures(intervals=many))
    )
    assert "largest of" not in text_of(PAGE)


def test_a_truth_outside_its_interval_is_red() -> None:
    assert "#b3402a" in coverage_plot([interval(2)])
    assert "#b3402a" not in coverage_plot([interval(1)])


def test_the_front_leaves_out_what_another_beats() -> None:
    points = [(12.0, 0.4), (2.0, 0.7), (1.0, 0.2), (2.0, 0.6), (40.0, 0.9), (50.0, 0.9), (1.0, 0.2)]
    assert pareto_front(points) == [(1.0, 0.2), (2.0, 0.7), (40.0, 0.9)]
    assert pareto_front([]) == []


@pytest.mark.parametrize("start", range(1, 6))
def test_the_front_is_monotone_and_nothing_beats_it(start: int) -> None:
    points = [(float(start * n * 37 % 101), float(n * n * 53 % 89)) for n in range(1, 60)]
    front = pareto_front(points)
    assert all(a[0] < b[0] and a[1] < b[1] for a, b in pairwise(front))
    assert set(front) <= set(points)
    beaten = [any(c <= cost and q >= quality for c, q in front) for cost, quality in points]
    assert all(beaten)


def test_only_readouts_and_estimators_with_a_cost_are_joined() -> None:
    """A payment and a baseline that are better and cheaper leave the line as it is."""
    readouts = [row("one", "readout", 0.2, 1.0), row("two", "readout", 0.7, 100.0)]
    line = re.compile(r'<path d="M ([^"]*)" clip-path[^>]*stroke: #17566c; stroke-width: 0\.9')
    others = [
        row("pays", "payment", 0.75, 10.0),
        row("sizes", "baseline", 0.75, 10.0),
        row("free", "readout", 0.6, 0),
    ]
    [path] = line.findall(cost_plot([*readouts, *others]))
    assert len(path.split("L")) == 2
    for kind in ("readout", "estimator"):
        [path] = line.findall(cost_plot([*readouts, row("three", kind, 0.5, 10.0), *others]))
        assert len(path.split("L")) == 3


def test_of_many_methods_those_that_matter_have_names() -> None:
    beaten = [row(f"slow {n}", "estimator", 0.1, 50.0 + n) for n in range(12)]
    others = [
        row("pays", "payment", 0.3, 60.0),
        row("front", "estimator", 0.4, 9.0),
        row("sizes", "baseline", 0.2, 0),
    ]
    assert {f">{name}</text>" in cost_plot([*beaten, *others]) for name in ("pays", "front", "sizes")} == {True}
    assert ">slow" not in cost_plot([*beaten, *others])
    assert ">slow 11</text>" in cost_plot([beaten[-1], *others])
