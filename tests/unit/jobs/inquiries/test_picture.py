"""The picture of a valuation shows exactly the given figures."""

import re
from xml.etree import ElementTree

import pytest

from tribute_jobs.inquiries.picture import LABEL, shares_picture

PUBLISHERS = [
    {"publisher_id": "b<&", "share_low": 0.0, "share_high": 0.6, "token_share": 0.5},
    {"publisher_id": "arena", "share_low": 0.5, "share_high": 0.9, "token_share": 0.5},
]
SHARES = {"arena": 0.7, "b<&": 0.3}


def bars(kind: str) -> list[float]:
    root = ElementTree.fromstring(shares_picture("October", PUBLISHERS, SHARES))
    found = [e for e in root.iter() if e.get("class") == kind and e.get("width") and e.get("x") == str(LABEL)]
    return [float(e.get("width") or 0) for e in found][1 if kind == "share" else 0 :]  # the first is the legend's


def test_the_largest_share_comes_first_and_bars_are_in_proportion() -> None:
    first, second = bars("share")
    assert first / second == pytest.approx(7 / 3, abs=0.01)
    assert bars("tokens")[0] == bars("tokens")[1]


def test_a_month_of_an_earlier_release_has_no_intervals() -> None:
    old = [each | {"share_low": None, "share_high": None} for each in PUBLISHERS]
    assert 'class="interval"' not in shares_picture("October", old, SHARES)


def test_an_interval_lies_on_the_scale_of_the_bars() -> None:
    drawn = shares_picture("October", PUBLISHERS, SHARES)
    ends = re.findall(r'class="interval" d="M([\d.]+) [\d.]+H([\d.]+)M', drawn)
    (low, high), (below, above) = [(float(a) - LABEL, float(b) - LABEL) for a, b in ends]
    scale = bars("share")[0] / 0.7
    assert (low, high) == (pytest.approx(0.5 * scale, abs=0.2), pytest.approx(0.9 * scale, abs=0.2))
    assert (below, above) == (0, pytest.approx(0.6 * scale, abs=0.2))
