"""What routes leave to the inbox: an operator who pages one ward is told of all the others."""

import tomllib
from datetime import time
from pathlib import Path

import pytest
from alert_cases import RAISED_AT, alert
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.deliver.coverage import hours_text, inbox_only, inbox_only_text, open_hours
from streams.deliver.routes_file import load_routes, parse_routes
from streams.deliver.routing import Hours, Route, Routes

HEAD = """
version = "site-1"
[severity]
high_kinds = []
[ladder]
high_after_min = [0, 10]
medium_after_min = [0, 30]
[channel.pager]
kind = "webhook"
target = "https://pager.example/x"
secret_file = "pager.key"
"""


def site_file(*routes: str, head: str = HEAD) -> Routes:
    everybody = 'name = "everybody"\nlevels = [0, 1]\nrecipient = "care team"\nchannels = []\n'
    page = 'name = "page"\nlevels = [0]\nrecipient = "nurse"\nchannels = ["pager"]\n'
    text = head + "".join(f"[[route]]\n{page}{each}\n" for each in routes) + f"[[route]]\n{everybody}"
    return parse_routes(tomllib.loads(text), Path("/etc/diastole"))


def told(routes: Routes) -> list[str]:
    ending = ": in the inbox alone, pages nobody"
    lines = [inbox_only_text(each, routes) for each in inbox_only(routes)]
    assert all(line.endswith(ending) for line in lines)
    return [line.removesuffix(ending) for line in lines]


def test_the_shipped_routes_page_nobody_at_all() -> None:
    assert told(load_routes()) == ["every alert of every ward"]


@pytest.mark.parametrize(
    ("routes", "lines"),
    [
        ([""], []),
        (['wards = ["A"]'], ["every alert of every ward other than A"]),
        (['wards = ["A", "cardio*"]'], ["every alert of every ward other than A, cardio*"]),
        (['wards = ["c*"]', 'wards = ["c1"]\nquiet_h = 8'], ["every alert of every ward other than c*, c1"]),
        (['hours = "07:00-19:00"'], ["every alert of every ward, 19:00-07:00"]),
        (['hours = "07:00-19:00"', 'hours = "19:00-07:00"'], []),
        (['severities = ["HIGH"]'], ["MEDIUM alerts of every ward"]),
        (["min_probability = 0.9"], ["every alert below 0.9 of every ward"]),
        (
            ["min_probability = 0.9", 'min_probability = 0.5\nhours = "07:00-19:00"'],
            ["every alert below 0.9 of every ward, 19:00-07:00", "MEDIUM alerts below 0.5 of every ward"],
        ),
        (["min_probability = 0.8"], ["MEDIUM alerts below 0.8 of every ward"]),
        (['sites = ["x"]'], ["every alert of every ward of every site other than x"]),
        (
            ['wards = ["A"]', 'wards = ["B"]\nhours = "07:00-19:00"'],
            ["every alert of ward B, 19:00-07:00", "every alert of every ward other than A, B"],
        ),
    ],
)  # fmt: skip
def test_what_pages_nobody_is_said(routes: list[str], lines: list[str]) -> None:
    assert told(site_file(*routes)) == lines


def test_alerts_that_are_high_by_their_kind_may_be_of_any_probability() -> None:
    by_kind = HEAD.replace("high_kinds = []", 'high_kinds = ["STEPPED_UP"]')
    assert told(site_file("min_probability = 0.8", head=by_kind)) == ["every alert below 0.8 of every ward"]


def test_a_level_that_the_ladder_does_not_have_pages_nobody() -> None:
    routes = site_file("").routes
    late = Route(name="late", levels=(5,), recipient="x", channels=("pager",))
    assert told(Routes(version="v", routes=(late, *routes[1:]))) == ["every alert of every ward"]


def test_hours_that_nobody_holds_are_joined_over_midnight() -> None:
    def at(since: int, until: int) -> Route:
        return Route(name="r", levels=(0,), recipient="x", hours=Hours(since=time(since), until=time(until)))

    assert [hours_text(each) for each in open_hours([at(6, 12), at(13, 23)])] == [
        "12:00-13:00",
        "23:00-06:00",
    ]
    assert open_hours([at(6, 18), at(18, 6)]) == ()


places = st.sampled_from(["A", "B", "cardio*", "*"])
hours = st.none() | st.sampled_from([(7, 19), (19, 7), (0, 12), (23, 1)]).map(
    lambda pair: Hours(since=time(pair[0]), until=time(pair[1]))
)
paging = st.builds(
    Route,
    name=st.just("r"),
    levels=st.just((0,)),
    recipient=st.just("x"),
    channels=st.sampled_from([(), ("pager",)]),
    wards=st.lists(places, min_size=1, max_size=2).map(tuple),
    hours=hours,
    min_probability=st.sampled_from([0.0, 0.5, 0.9]),
)


@given(
    st.lists(paging, max_size=4),
    st.sampled_from(["A", "B", "cardio*", "Z"]),
    st.integers(0, 23),
    st.sampled_from([0.1, 0.7, 0.95]),
)
@settings(max_examples=300, deadline=None)
def test_an_alert_pages_nobody_exactly_where_it_is_said(
    drawn: list[Route], ward: str, hour: int, probability: float
) -> None:
    everybody = Route(name="all", levels=(0,), recipient="x")
    routes = Routes(version="v", routes=(*drawn, everybody))
    raised = alert(ward_id=ward, probability=probability)
    at = RAISED_AT.replace(hour=hour, minute=30)
    pages = any(each.channels for each in routes.matching(raised, 0, at))
    named = {each for route in drawn for each in route.wards if each != "*"}
    place = ward if ward in named else "*" if ward != "cardio*" else None
    if place is None:
        return
    said = any(
        place in each.wards
        and routes.severity(raised) in each.severities
        and each.hours.hold(at.time())
        and (each.below is None or raised.probability < each.below)
        for each in inbox_only(routes)
    )
    assert said is not pages
