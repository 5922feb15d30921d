"""The picture of a trend never says more than is known."""

import re
import xml.etree.ElementTree as ET  # our own picture is read, nothing from elsewhere
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.risk import Phenotype
from streams.api.time_axis import time_ticks
from streams.api.trend_svg import AlertMark, TrendOptions, runs_of, trend_svg
from streams.history import HistoryPoint

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
OPTIONS = TrendOptions(enter_threshold=0.65, exit_threshold=0.5)
GAP = timedelta(days=30)


def point(
    day: float,
    probability: float | None,
    *,
    bundle_version: str = "b1",
    interval: tuple[float, float] | None = None,
    reasons: tuple[str, ...] = ("LEAD_OFF:V3",),
) -> HistoryPoint:
    """One ECG so many days after the start; None is not scored."""
    scored = probability is not None
    high = probability is not None and probability >= 0.65
    return HistoryPoint(
        patient_id="P",
        ecg_id=f"ecg-{day}",
        bundle_version=bundle_version,
        acquired_at=START + timedelta(days=day),
        phenotype=Phenotype.HIGH if high else Phenotype.LOW if scored else Phenotype.NOT_SCORED,
        probability=probability,
        probability_low=interval[0] if interval else None,
        probability_high=interval[1] if interval else None,
        not_scored_reasons=() if scored else reasons,
        quality_score=1.0,
    )


def tree(svg: str) -> ET.Element:
    return ET.fromstring(svg)  # noqa: S314


def classed(svg: str, name: str) -> list[ET.Element]:
    return [each for each in tree(svg).iter() if name in (each.get("class") or "").split()]


def days(runs: list[list[HistoryPoint]]) -> list[list[float]]:
    return [[(each.acquired_at - START) / timedelta(days=1) for each in run] for run in runs]


def test_neighbours_are_joined_and_nothing_else() -> None:
    ordered = [point(0, 0.1), point(1, 0.2), point(2, None), point(3, 0.3), point(4, 0.4), point(40, 0.5)]
    assert days(runs_of(ordered, GAP)) == [[0, 1], [3, 4], [40]]


def test_a_gap_of_exactly_the_longest_is_joined_and_a_second_more_is_not() -> None:
    assert len(runs_of([point(0, 0.1), point(30, 0.2)], GAP)) == 1
    assert len(runs_of([point(0, 0.1), point(30 + 1 / 86_400, 0.2)], GAP)) == 2


def test_scores_of_two_models_are_not_joined_and_the_change_is_marked() -> None:
    points = [point(0, 0.1), point(1, 0.2, bundle_version="b2")]
    assert len(runs_of(points, GAP)) == 2
    svg = trend_svg(points, OPTIONS)
    assert "Model b2 from here on" in svg
    assert not classed(svg, "risk-line")


def test_an_ecg_that_was_not_scored_stands_below_zero_risk_with_its_reason() -> None:
    svg = trend_svg([point(0, 0.0), point(1, None), point(2, 0.0)], OPTIONS)
    (cross,) = classed(svg, "not-scored")
    y_cross = float(re.findall(r"M[\d.]+ ([\d.]+)", cross[1].get("d") or "")[0])
    zero = max(float(each.get("cy") or 0) for each in tree(svg).iter() if each.tag.endswith("circle"))
    assert y_cross > zero + 5
    assert "not scored, lead off (V3)" in "".join(cross.itertext())
    assert "lead off (V3)" in [text.text for text in classed(svg, "reason")]
    assert len(classed(svg, "ecg")) == 2


def test_only_not_scored_ecgs_give_no_mark_of_risk() -> None:
    svg = trend_svg([point(0, None), point(1, None)], OPTIONS)
    assert not classed(svg, "ecg")
    assert not classed(svg, "risk-line")
    assert len(classed(svg, "not-scored")) == 2
    assert "Risk from" not in svg


def test_reasons_do_not_run_into_each_other() -> None:
    crowded = [point(20 + n, None) for n in range(8)]
    svg = trend_svg([point(0, 0.1), *crowded], OPTIONS)
    assert len(classed(svg, "reason")) <= 1
    assert svg.count("not scored, lead off (V3)") == 8


def test_the_ribbon_ends_where_the_interval_is_not_known() -> None:
    points = [
        point(0, 0.2, interval=(0.1, 0.3)),
        point(1, 0.2, interval=(0.1, 0.3)),
        point(2, 0.2),
        point(3, 0.2, interval=(0.1, 0.3)),
    ]
    (ribbon,) = classed(trend_svg(points, OPTIONS), "ribbon")
    assert (ribbon.get("d") or "").count("M") == 1


@pytest.mark.parametrize("ends", [(None, 0.9), (0.7, None)])
def test_an_interval_of_which_an_end_is_missing_is_not_shaded_to_zero(
    ends: tuple[float | None, float | None],
) -> None:
    known = [point(n, 0.8, interval=(0.7, 0.9)) for n in range(3)]
    half = replace(point(3, 0.8), probability_low=ends[0], probability_high=ends[1])
    svg = trend_svg([*known, half], OPTIONS)
    (ribbon,) = classed(svg, "ribbon")
    assert len(sub_paths(ribbon)) == 2  # as without the last
    assert len(classed(svg, "whisker")) == 3


def test_nothing_known_is_said_in_words() -> None:
    svg = trend_svg([], OPTIONS)
    assert "no ECG in this time" in svg
    assert "No ECG of this patient is in the history." in svg


def test_alerts_are_marked_where_their_ecg_lies() -> None:
    svg = trend_svg(
        [point(0, 0.2), point(2, 0.9)],
        OPTIONS,
        [AlertMark(raised_for=START + timedelta(days=2), label="<up>")],
    )
    (mark,) = classed(svg, "alert-mark")
    (last,) = [each for each in classed(svg, "ecg") if "high" in (each.get("class") or "")]
    circle = next(each for each in last if each.tag.endswith("circle"))
    assert f"M{float(circle.get('cx') or 0):.1f} " in (mark[1].get("d") or "")
    assert "&lt;up&gt;" in svg


def test_the_bands_are_those_of_the_policy() -> None:
    svg = trend_svg([point(0, 0.2)], TrendOptions(enter_threshold=0.8, exit_threshold=0.3))
    assert "HIGH from 0.80" in svg
    assert "LOW below 0.30" in svg


moments = st.floats(min_value=0, max_value=900, allow_nan=False)
risks = st.one_of(st.none(), st.floats(min_value=0, max_value=1).map(lambda each: round(each, 4)))


@given(st.lists(st.tuples(moments, risks), max_size=40, unique_by=lambda each: each[0]))
def test_every_ecg_is_drawn_once_and_no_line_passes_over_what_is_not_known(
    given_points: list[tuple[float, float | None]],
) -> None:
    points = [point(day, risk) for day, risk in given_points]
    svg = trend_svg(points, OPTIONS)
    assert len(classed(svg, "ecg")) == sum(risk is not None for _, risk in given_points)
    assert len(classed(svg, "not-scored")) == sum(risk is None for _, risk in given_points)
    missing = [each.acquired_at for each in points if each.probability is None]
    for run in runs_of(sorted(points, key=lambda each: each.acquired_at), GAP):
        times = [each.acquired_at for each in run]
        assert not any(times[0] < at < times[-1] for at in missing)
        assert all(b - a <= GAP for a, b in pairwise(times))
    assert "nan" not in svg.lower()


#: Whole days, so that no two ECGs are drawn at one place; some a month and a day apart.
steps = st.one_of(st.integers(1, 12), st.sampled_from([29, 30, 31, 45]))
drawn_points = st.lists(st.tuples(steps, risks, st.booleans()), min_size=1, max_size=24)


@given(drawn_points)
def test_what_is_drawn_joins_neighbours_that_were_scored_and_no_others(
    given_points: list[tuple[int, float | None, bool]],
) -> None:
    days_of = [sum(step for step, *_ in given_points[: n + 1]) for n in range(len(given_points))]
    points = [
        point(day, risk, interval=(risk / 2, (risk + 1) / 2) if has_interval and risk is not None else None)
        for day, (_, risk, has_interval) in zip(days_of, given_points, strict=True)
    ]
    svg = trend_svg(points, OPTIONS)
    day_at = places(svg, points)
    scored = [each for each in points if each.probability is not None]
    in_turn = {pair for pair in pairwise(points) if None not in (pair[0].probability, pair[1].probability)}
    joinable = {
        (day_of(before), day_of(after)) for before, after in in_turn if day_of(after) - day_of(before) <= 30
    }
    joined = drawn_pairs(svg, "risk-line", day_at)
    assert joined == joinable
    assert drawn_pairs(svg, "ribbon", day_at) == {
        (day_of(before), day_of(after))
        for before, after in in_turn
        if (day_of(before), day_of(after)) in joinable
        and None not in (before.probability_low, after.probability_low)
    }
    heights = {round(y, 1) for line in classed(svg, "risk-line") for path in sub_paths(line) for _, y in path}
    assert heights <= {round(float(each.get("cy") or 0), 1) for each in circles(svg)}
    assert len(circles(svg)) == len(scored)


def day_of(one: HistoryPoint) -> int:
    return (one.acquired_at - START).days


def circles(svg: str) -> list[ET.Element]:
    return [each for each in tree(svg).iter() if each.tag.endswith("circle")]


def places(svg: str, points: list[HistoryPoint]) -> dict[float, int]:
    """Tell the day by where the mark of its ECG stands, scored or not: each has one of its own."""
    crosses = [
        float(re.findall(r"M([\d.]+) ", each[1].get("d") or "")[0]) + 4 for each in classed(svg, "not-scored")
    ]
    xs = {True: [float(each.get("cx") or 0) for each in circles(svg)], False: crosses}
    found: dict[float, int] = {}
    for is_scored, at in xs.items():
        days_of = [day_of(each) for each in points if (each.probability is not None) is is_scored]
        found |= {round(x, 1): day for x, day in zip(at, days_of, strict=True)}
    assert len(found) == len(points)
    return found


def sub_paths(path: ET.Element) -> list[list[tuple[float, float]]]:
    """Read the corners of each stroke of a path, which is of straight lines alone."""
    d = path.get("d") or ""
    assert re.fullmatch(r"(M[-\d.]+ [-\d.]+(L[-\d.]+ [-\d.]+)*Z?)*", d)
    strokes = [each.removesuffix("Z").split("L") for each in d.split("M")[1:]]
    return [[(float(x), float(y)) for x, y in (corner.split(" ") for corner in stroke)] for stroke in strokes]


def drawn_pairs(svg: str, name: str, day_at: dict[float, int]) -> set[tuple[int, int]]:
    """Days between which something is drawn; a place at which no ECG stands is an error."""
    strokes = [path for drawn in classed(svg, name) for path in sub_paths(drawn)]
    spans = [[day_at[round(x, 1)] for x, _ in stroke] for stroke in strokes]
    pairs = {tuple(sorted(pair)) for span in spans for pair in pairwise(span)}
    return {(first, last) for first, last in pairs if first != last}


@pytest.mark.parametrize("span_days", [0.01, 0.3, 1, 9, 60, 400, 3000])
@pytest.mark.parametrize("most", [2, 4, 9])
def test_there_are_never_more_ticks_than_fit(span_days: float, most: int) -> None:
    ticks = time_ticks(START, START + timedelta(days=span_days), most, ZoneInfo("Europe/Rome"))
    assert len(ticks) <= most
    assert all(START <= at <= START + timedelta(days=span_days) for at, _ in ticks)


def test_ticks_stay_at_midnight_over_the_change_of_clocks() -> None:
    since = datetime(2026, 3, 27, tzinfo=UTC)
    ticks = time_ticks(since, since + timedelta(days=5), 8, ZoneInfo("Europe/Rome"))
    assert {f"{at:%H:%M}" for at, _ in ticks} == {"00:00"}
