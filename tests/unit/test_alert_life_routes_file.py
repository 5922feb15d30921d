"""The file of routes: what ships, what it says when it is wrong, and that no alert falls between routes."""

import tomllib
from datetime import time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from alert_cases import RAISED_AT, alert

from schemas.alert import AlertKind, Priority
from streams.deliver.routes_file import DEFAULT_ROUTES, RoutesError, load_routes, parse_routes
from streams.deliver.routing import ChannelKind, Hours, Retry

WHOLE = """
version = "site-1"
timezone = "Europe/Rome"
timezones = {east = "Asia/Tokyo"}
fresh_h = 6
expire_h = 48
delivered_within_s = 30

[severity]
high_probability = 0.8
high_kinds = []

[ladder]
high_after_min = [0, 5]
medium_after_min = [0]

[retry]
attempts = 2
first_s = 1
longest_s = 8

[channel.chat]
kind = "apprise"
target_file = "secrets/chat.url"

[channel.pager]
kind = "webhook"
target = "https://pager.example/x"
secret_file = "/run/secrets/pager.key"
timeout_s = 3
options = {format = "short"}

[[route]]
name = "all"
levels = [0, 1]
recipient = "nurse"
channels = ["chat"]
second = ["pager"]

[[route]]
name = "team"
levels = [0]
recipient = "rapid response"
channels = ["pager"]
wards = ["cardio*"]
sites = ["east"]
severities = ["HIGH"]
hours = "19:00-07:00"
min_probability = 0.9
quiet_h = 8
"""


def read(text: str):
    return parse_routes(tomllib.loads(text), Path("/etc/diastole"))


def test_the_shipped_routes_show_every_alert_in_the_inbox_alone():
    routes = load_routes()
    assert routes.is_inbox_only
    assert routes.version.startswith("default-1+")
    for probability in (0.7, 0.99):
        raised = alert(probability=probability)
        for level in range(len(routes.ladder_of(raised))):
            assert routes.matching(raised, level, RAISED_AT)


def test_what_the_shipped_file_offers_as_examples_can_be_used():
    text = DEFAULT_ROUTES.read_text()
    start = text.index("# [channel.ward-chat]")
    examples = [
        line.removeprefix("#").removeprefix(" ")
        for line in text[start:].splitlines()
        if "= " in line or "[" in line
    ]
    routes = read(text[:start] + "\n".join(examples))
    assert {channel.kind for channel in routes.channels.values()} == set(ChannelKind)
    assert [route.name for route in routes.routes] == ["rapid response", "everybody"]


def test_every_key_is_read():
    routes = read(WHOLE)
    assert routes.zone == ZoneInfo("Europe/Rome")
    assert routes.zones == {"east": ZoneInfo("Asia/Tokyo")}
    assert (routes.fresh, routes.expire) == (timedelta(hours=6), timedelta(hours=48))
    assert routes.delivered_within == timedelta(seconds=30)
    assert routes.severity(alert(probability=0.8)) is Priority.HIGH
    assert routes.severity(alert(probability=0.7, kind=AlertKind.STEPPED_UP)) is Priority.MEDIUM
    assert routes.ladder_of(alert(probability=0.9)) == (timedelta(0), timedelta(minutes=5))
    assert routes.retry == Retry(attempts=2, first_s=1, longest_s=8)
    chat, pager = routes.channels["chat"], routes.channels["pager"]
    assert chat.target_file == Path("/etc/diastole/secrets/chat.url")
    assert pager.secret_file == Path("/run/secrets/pager.key")
    assert (pager.target, pager.timeout_s, pager.options) == (
        "https://pager.example/x",
        3,
        {"format": "short"},
    )
    team = routes.routes[1]
    assert team.hours == Hours(since=time(19), until=time(7))
    assert (team.levels, team.min_probability, team.quiet_h) == ((0,), 0.9, 8)
    assert (team.wards, team.sites, team.severities) == (("cardio*",), ("east",), (Priority.HIGH,))


def test_a_changed_file_has_another_version_wherever_it_lies():
    assert read(WHOLE).version == parse_routes(tomllib.loads(WHOLE), Path("/elsewhere")).version
    assert read(WHOLE).version != read(WHOLE.replace("quiet_h = 8", "quiet_h = 7")).version


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('version = "site-1"', "", "version is missing; add it"),
        ("fresh_h = 6", "fresh_hours = 6", "fresh_hours is unknown"),
        ("fresh_h = 6", 'fresh_h = "6"', "fresh_h must be a number"),
        ("expire_h = 48", "expire_h = 0.05", "longer than the ladder"),
        ('"Europe/Rome"', '"Rome"', "timezone must be a time zone"),
        ("[0, 5]", "[5, 10]", "high_after_min must be minutes that start at 0"),
        ("[0, 5]", "[0, 5, 5]", "high_after_min must be minutes that start at 0 and rise"),
        ("[0, 5]", "[0, 5, 9]", "severity HIGH would reach nobody at level 2, all day"),
        ("medium_after_min = [0]", "", "medium_after_min is missing"),
        ("attempts = 2", "attempts = 0", "attempts must be a number from 1"),
        ('kind = "apprise"', 'kind = "fax"', "kind must be one of webhook"),
        ('target_file = "secrets/chat.url"', "", "chat: give target or target_file"),
        ('target_file = "secrets/chat.url"', 'target = "mailto://me"', "passwords and tokens"),
        ("https://pager", "https://me:pw@pager", "holds a name or a password"),
        ('channels = ["chat"]', 'channels = ["chaat"]', "there is no channel chaat"),
        ('channels = ["chat"]', "", "second is used when channels fail"),
        ('name = "all"', 'name = "all"\nwards = ["W*"]', "would reach nobody at level 0, all day"),
        ('name = "all"', 'name = "all"\nhours = "06:00-23:00"', "would reach nobody at level 0, 23:00-06:00"),
        ('name = "all"', 'name = "all"\nhours = "23:00-22:00"', "would reach nobody at level 0, 22:00-23:00"),
        ('name = "all"', 'name = "all"\nquiet_h = 1', "would reach nobody"),
        ('name = "all"', 'name = "all"\nseverities = ["HIGH"]', "severity MEDIUM would reach nobody"),
        ('"19:00-07:00"', '"7-19"', "hours must be hours such as"),
        ('"19:00-07:00"', '"07:00-07:00"', "leave it out for the whole day"),
        ('["HIGH"]', '["LOW"]', "severities must list HIGH, MEDIUM or both"),
        (
            "min_probability = 0.9",
            "min_probability = 9",
            "route team: min_probability must be a number from 0 to 1",
        ),
        ("levels = [0]", "levels = [10]", "levels must be a number from 0 to 9"),
        ("high_kinds = []", 'high_kinds = ["UNKNOWN"]', "high_kinds must list some of ENTERED_HIGH"),
    ],
)
def test_a_wrong_file_says_which_key_and_what_to_do(old, new, message):
    assert old in WHOLE
    with pytest.raises(RoutesError, match=message) as refused:
        read(WHOLE.replace(old, new, 1))
    assert ";" in str(refused.value) or "," in str(refused.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(RoutesError, match=r"none\.toml: cannot be read"):
        load_routes(tmp_path / "none.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("version = ")
    with pytest.raises(RoutesError, match=r"broken\.toml: is no TOML"):
        load_routes(broken)
    broken.write_text('version = "x"')
    with pytest.raises(RoutesError, match=r"broken\.toml: ladder: high_after_min is missing"):
        load_routes(broken)


def test_every_hour_may_be_covered_by_several_routes():
    night = """
[[route]]
name = "night"
levels = [0, 1]
recipient = "night"
channels = ["pager"]
hours = "19:00-07:00"
"""
    day = WHOLE.replace('name = "all"', 'name = "all"\nhours = "07:00-19:00"')
    assert len(read(day + night).routes) == 3
