"""The file of routes: TOML, read and checked whole before anything is sent.

A file in which some alert would reach nobody at some hour is refused, as is one that holds a secret.
"""

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import fields
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

from schemas.alert import Priority
from streams.deliver.coverage import hours_text, open_hours
from streams.deliver.routes_fields import (
    RoutesError,
    Table,
    address,
    at_key,
    channel_kind,
    hours,
    hours_long,
    kinds,
    label,
    levels,
    names,
    number,
    path_in,
    rungs,
    seconds,
    severities,
    text,
    texts,
    zone,
)
from streams.deliver.routing import SEVERITIES, ChannelKind, ChannelSettings, Retry, Route, Routes

__all__ = ["DEFAULT_ROUTES", "RoutesError", "load_routes", "parse_routes"]

#: The routes that ship with Diastole: the inbox alone.
DEFAULT_ROUTES: Final = Path(__file__).parent / "routes" / "default.toml"

_DIGEST_HEX_DIGITS: Final = 8  # as of alert policies: tells a site's few dozen files apart


def load_routes(path: Path | None = None) -> Routes:
    """Read and check a file of routes; None reads the shipped one.

    Paths in it are taken from the file's folder. Files of secrets are not opened here.

    Raises
    ------
    RoutesError
        Names the file, the key and what to do.
    """
    source = path or DEFAULT_ROUTES
    try:
        return parse_routes(tomllib.loads(source.read_text(encoding="utf-8")), source.parent)
    except OSError as error:
        raise RoutesError(f"{source}: cannot be read ({error.strerror}); give the path of a file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RoutesError(f"{source}: is no TOML ({error}); correct the file") from None
    except RoutesError as error:
        raise RoutesError(f"{source}: {error}") from None


def parse_routes(table: Mapping[str, Any], folder: Path) -> Routes:
    """Turn the content of a file into routes.

    Raises
    ------
    RoutesError
        As :func:`load_routes`, without the file's name.
    """
    top = Table("routes", table)
    version = top.take("version", label)
    read: dict[str, Any] = {
        "fresh": top.take("fresh_h", partial(hours_long, most=24 * 30), 12.0),
        "expire": top.take("expire_h", partial(hours_long, most=24 * 30), 24.0),
        "delivered_within": top.take("delivered_within_s", seconds, 60.0),
        "zone": top.take("timezone", zone, "UTC"),
        "zones": {name: at_key(f"timezones.{name}", zone, given) for name, given in top.table("timezones")},
        "ladder": _ladder(Table("ladder", dict(top.table("ladder")))),
        "retry": _retry(Table("retry", dict(top.table("retry")))),
        "channels": {name: _channel(name, given, folder) for name, given in top.table("channel")},
        "routes": tuple(_route(given) for given in top.tables("route")),
        **_severity(Table("severity", dict(top.table("severity")))),
    }
    top.finish()
    content = json.dumps(table, sort_keys=True, separators=(",", ":"), default=str)
    digest = hashlib.sha256(content.encode()).hexdigest()[:_DIGEST_HEX_DIGITS]
    routes = Routes(version=f"{version}+{digest}", **read)
    _require_known_channels(routes)
    _require_nobody_forgotten(routes)
    return routes


def _ladder(table: Table) -> dict[Priority, tuple[timedelta, ...]]:
    ladder = {severity: table.take(f"{severity.value.lower()}_after_min", rungs) for severity in SEVERITIES}
    table.finish()
    return ladder


def _severity(table: Table) -> dict[str, Any]:
    read = {
        "high_probability": table.take("high_probability", partial(number, low=0, high=1), 0.85),
        "high_kinds": table.take("high_kinds", kinds, ["STEPPED_UP"]),
    }
    table.finish()
    return read


def _retry(table: Table) -> Retry:
    retry = Retry(
        attempts=int(table.take("attempts", partial(number, low=1, high=20), 4)),
        first_s=table.take("first_s", partial(number, low=0.1, high=600), 5.0),
        longest_s=table.take("longest_s", partial(number, low=1, high=3600), 300.0),
    )
    table.finish()
    return retry


def _channel(name: str, given: Any, folder: Path) -> ChannelSettings:
    table = Table(f"channel.{name}", given)
    at_key(f"channel.{name}: its name", label, name)
    settings = ChannelSettings(
        name=name,
        kind=table.take("kind", channel_kind),
        target=table.take("target", address, ""),
        target_file=table.maybe("target_file", partial(path_in, folder=folder)),
        secret_file=table.maybe("secret_file", partial(path_in, folder=folder)),
        timeout_s=table.take("timeout_s", partial(number, low=0.1, high=120), 10.0),
        options={
            key: at_key(f"channel.{name}: options.{key}", text, each) for key, each in table.table("options")
        },
    )
    table.finish()
    if bool(settings.target) == (settings.target_file is not None):
        raise RoutesError(f"channel.{name}: give target or target_file, and not both")
    if settings.kind is ChannelKind.APPRISE and settings.target:
        raise RoutesError(
            f"channel.{name}: addresses of apprise hold passwords and tokens; write it into a file that only "
            "the service can read, and give that as target_file"
        )
    return settings


def _route(given: Any) -> Route:
    name = given.get("name", "") if isinstance(given, Mapping) else ""
    table = Table(f"route {name}", given)
    read: dict[str, Any] = {
        "name": table.take("name", text),
        "levels": table.take("levels", levels),
        "recipient": table.take("recipient", text),
        "channels": table.take("channels", names, []),
        "second": table.take("second", names, []),
        "wards": table.take("wards", texts, ["*"]),
        "sites": table.take("sites", texts, ["*"]),
        "severities": table.take("severities", severities, [each.value for each in SEVERITIES]),
        "hours": table.maybe("hours", hours),
        "min_probability": table.take("min_probability", partial(number, low=0, high=1), 0.0),
        "quiet_h": table.take("quiet_h", partial(number, low=0, high=24 * 30), 0.0),
    }
    table.finish()
    missing = {field.name for field in fields(Route)} ^ read.keys()
    if missing:  # a field was added to Route and is not read here
        raise AssertionError(f"not read from the file: {missing}")
    return Route(**read)


def _require_known_channels(routes: Routes) -> None:
    for route in routes.routes:
        for channel in (*route.channels, *route.second):
            if channel not in routes.channels:
                raise RoutesError(
                    f"route {route.name}: there is no channel {channel}; add [channel.{channel}] or correct "
                    "its spelling"
                )
        if route.second and not route.channels:
            raise RoutesError(f"route {route.name}: second is used when channels fail; give channels too")


def _require_nobody_forgotten(routes: Routes) -> None:
    if any(ladder[-1] >= routes.expire for ladder in routes.ladder.values()):
        raise RoutesError("expire_h must be longer than the ladder; make it longer, or the ladder shorter")
    for severity, ladder in routes.ladder.items():
        fitting = [each for each in routes.routes if each.takes_all and severity in each.severities]
        for level in range(len(ladder)):
            for span in open_hours([each for each in fitting if level in each.levels]):
                raise RoutesError(
                    f"an alert of severity {severity} would reach nobody at level {level}, "
                    f"{hours_text(span)}; add a route for all wards and sites, without min_probability and "
                    "quiet_h, that holds then"
                )
