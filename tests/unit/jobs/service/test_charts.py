"""Where the marks of charts stand."""

from hypothesis import given
from hypothesis import strategies as st

from tribute_jobs.service.pages.charts import HEIGHT, WIDTH, MonthPoint, line_picture, scale_of
from tribute_jobs.service.views.figures import Interval

FIGURES = st.floats(-1e9, 1e9)


def interval(low: float, value: float, high: float) -> Interval:
    """An interval of any three figures."""
    return Interval(value=value, low=min(low, high), high=max(low, high))


@given(st.lists(st.builds(interval, FIGURES, FIGURES, FIGURES), min_size=1, max_size=8))
def test_every_mark_has_room_and_larger_values_stand_further_right(intervals: list[Interval]) -> None:
    scale = scale_of(intervals)
    ends = sorted(end for each in intervals for end in (each.low, each.value, each.high, 0.0))
    places = [scale.at(end) for end in ends]
    assert places == sorted(places)
    assert places[0] >= 0 and places[-1] <= WIDTH


@given(st.lists(st.builds(interval, FIGURES, FIGURES, FIGURES), min_size=1, max_size=8))
def test_a_line_stays_inside_its_picture_and_is_higher_where_values_are(intervals: list[Interval]) -> None:
    points = [MonthPoint("2026-10", each, True) for each in intervals]
    picture = line_picture(points)
    ys = [y for _, y, _ in picture.dots]
    assert len(ys) == len(points)
    assert all(0 <= y <= HEIGHT for y in (*ys, picture.zero))
    highest = max(range(len(points)), key=lambda index: intervals[index].value)
    assert ys[highest] == min(ys)


def test_nothing_but_zero_still_has_a_scale() -> None:
    scale = scale_of([Interval(value=0, low=0, high=0)])
    assert scale.at(0) == 0 and scale.high > 0
    assert scale_of([]).at(0) == 0
