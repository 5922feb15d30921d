"""A patient's risk over time as a picture that does not lie about what is not known.

The line is drawn only between scored ECGs that follow each other, by one model, no further apart than
``gap``. A not-scored ECG breaks it, and stands with its reason on a row of its own below, never at zero.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from html import escape
from itertools import pairwise
from typing import Final

from schemas.risk import Phenotype
from streams.api.time_axis import time_ticks
from streams.api.wording import moment, reason_words
from streams.history import HistoryPoint

_LEFT, _RIGHT, _TOP, _BOTTOM = 46.0, 14.0, 22.0, 26.0
#: Height of the row of ECGs that are not scored.
_ROW: Final = 34.0
#: Air on both sides of the first and the last ECG, as a share of the time shown.
_AIR: Final = 0.03
#: Least time shown: a single ECG stands in the middle of a day.
_LEAST: Final = timedelta(days=1)
_PX_PER_TICK: Final = 72.0
#: Width of a letter of the small text, for telling whether words fit; a little more than the font's mean.
_PX_PER_LETTER: Final = 6.3


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertMark:
    """An alert on the time axis; ``raised_for`` is when its ECG was acquired (aware)."""

    raised_for: datetime
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrendOptions:
    """How the trend is drawn.

    Attributes
    ----------
    enter_threshold, exit_threshold : float
        Of the policy; the bands.
    gap : timedelta
        ECGs further apart than this are not joined. 30 days: nothing is known of a month without an ECG.
    key : str
        Makes the ids of this picture its own where several stand on one page.
    marked_ecg_id : str
        The ECG that is spoken of; drawn larger.
    """

    enter_threshold: float
    exit_threshold: float
    zone: tzinfo = UTC
    gap: timedelta = timedelta(days=30)
    width: float = 760.0
    height: float = 300.0
    key: str = "trend"
    marked_ecg_id: str = ""
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Frame:
    since: datetime
    until: datetime
    width: float
    height: float

    def x(self, at: datetime) -> float:
        share = (at - self.since) / (self.until - self.since)
        return _LEFT + share * (self.width - _LEFT - _RIGHT)

    def y(self, probability: float) -> float:
        return self.floor - probability * (self.floor - _TOP)

    @property
    def floor(self) -> float:
        """Where 0 lies: above the row of what is not scored."""
        return self.height - _BOTTOM - _ROW


def trend_svg(points: Sequence[HistoryPoint], options: TrendOptions, alerts: Sequence[AlertMark] = ()) -> str:
    """Draw the trend.

    Parameters
    ----------
    points : sequence of HistoryPoint
        In any order; empty gives an empty frame that says so.

    Returns
    -------
    str
        One ``<svg>`` without styles of its own: its classes are those of the pages' style sheet. The same
        arguments give the same text.
    """
    ordered = sorted(points, key=lambda point: (point.acquired_at, point.ecg_id))
    frame = _frame(ordered, alerts, options)
    runs = runs_of(ordered, options.gap)
    parts = [
        _opening(options),
        f'<title id="t-{options.key}">Risk over time</title>',
        f'<desc id="d-{options.key}">{escape(description(ordered, options))}</desc>',
        _bands(frame, options),
        _time_axis(frame, options),
        *(_ribbon(frame, run) for run in runs),
        *(_line(frame, run) for run in runs),
        *_model_changes(frame, ordered),
        *(_alert_mark(frame, alert) for alert in alerts),
        *(_mark(frame, point, options) for point in ordered if point.probability is not None),
        *_not_scored_row(frame, ordered, options),
        "" if ordered else _nothing(frame),
        "</svg>",
    ]
    return "\n".join(part for part in parts if part)


def runs_of(ordered: Sequence[HistoryPoint], gap: timedelta) -> list[list[HistoryPoint]]:
    """Part scored points into what may be joined by a line.

    A run ends at a not-scored ECG, at a longer silence than ``gap``, and where another model takes over.
    """
    runs: list[list[HistoryPoint]] = []
    before: HistoryPoint | None = None
    for point in ordered:
        if point.probability is not None:
            if before is None or before.probability is None or _apart(before, point, gap):
                runs.append([])
            runs[-1].append(point)
        before = point
    return runs


def description(ordered: Sequence[HistoryPoint], options: TrendOptions) -> str:
    """Say in words what the picture shows, for who does not see it."""
    if not ordered:
        return "No ECG of this patient is in the history."
    scored = [point for point in ordered if point.probability is not None]
    n_not = len(ordered) - len(scored)
    first, last = (moment(point.acquired_at, options.zone) for point in (ordered[0], ordered[-1]))
    words = [f"{len(ordered)} ECGs from {first} to {last}, {n_not} of them not scored."]
    if scored:
        risks = [point.probability or 0.0 for point in scored]
        newest = moment(scored[-1].acquired_at, options.zone)
        words.append(f"Risk from {min(risks):.2f} to {max(risks):.2f}; last {risks[-1]:.2f} on {newest}.")
    words.append(f"HIGH from {options.enter_threshold:.2f}, LOW below {options.exit_threshold:.2f}.")
    return " ".join(words)


def _apart(before: HistoryPoint, point: HistoryPoint, gap: timedelta) -> bool:
    is_other_model = before.bundle_version != point.bundle_version
    return is_other_model or point.acquired_at - before.acquired_at > gap


def _frame(ordered: Sequence[HistoryPoint], alerts: Sequence[AlertMark], options: TrendOptions) -> _Frame:
    times = [point.acquired_at for point in ordered] + [alert.raised_for for alert in alerts]
    until = options.until or max(times, default=datetime(2000, 1, 2, tzinfo=UTC))
    since = options.since or min(times, default=until - _LEAST)
    lack = max(_LEAST - (until - since), timedelta(0))
    air = _AIR * (until - since) + lack / 2
    return _Frame(since=since - air, until=until + air, width=options.width, height=options.height)


def _opening(options: TrendOptions) -> str:
    key = options.key
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="trend" role="img" '
        f'aria-labelledby="t-{key} d-{key}" viewBox="0 0 {options.width:g} {options.height:g}">'
    )


def _bands(frame: _Frame, options: TrendOptions) -> str:
    """Tint what is HIGH, and the band between the thresholds in which nothing changes."""
    left, right = _LEFT, frame.width - _RIGHT
    enter, leave = frame.y(options.enter_threshold), frame.y(options.exit_threshold)
    rects = "".join(
        f'<rect class="{name}" x="{left:g}" y="{top:.1f}" width="{right - left:g}" height="{low - top:.1f}"/>'
        for name, top, low in (("band-high", frame.y(1.0), enter), ("band-between", enter, leave))
    )
    grid = "".join(
        f'<path class="grid" d="M{left:g} {frame.y(p):.1f}H{right:g}"/>'
        f'<text class="tick" x="{left - 7:g}" y="{frame.y(p) + 4:.1f}" text-anchor="end">{p:g}</text>'
        for p in (0.0, 0.25, 0.5, 0.75, 1.0)
    )
    lines = "".join(
        f'<path class="threshold" d="M{left:g} {y:.1f}H{right:g}"/>'
        f'<text class="band-label" x="{left + 6:g}" y="{at:.1f}">{words}</text>'
        for y, at, words in (
            (enter, enter - 5, f"HIGH from {options.enter_threshold:.2f}"),
            (leave, leave + 14, f"LOW below {options.exit_threshold:.2f}"),
        )
    )
    return rects + grid + lines


def _time_axis(frame: _Frame, options: TrendOptions) -> str:
    most = max(2, int((frame.width - _LEFT - _RIGHT) / _PX_PER_TICK))
    base = frame.height - _BOTTOM
    ticks = [
        f'<path class="grid" d="M{frame.x(at):.1f} {_TOP:g}V{base:g}"/>'
        f'<text class="tick" x="{frame.x(at):.1f}" y="{base + 17:g}" text-anchor="middle">{label}</text>'
        for at, label in time_ticks(frame.since, frame.until, most, options.zone)
    ]
    return f'<path class="axis" d="M{_LEFT:g} {base:g}H{frame.width - _RIGHT:g}"/>' + "".join(ticks)


def _ribbon(frame: _Frame, run: Sequence[HistoryPoint]) -> str:
    """Shade the interval along a run, as far as each of two neighbours has one; alone it is a whisker."""
    shades = []
    for before, point in pairwise(run):
        earlier, later = _interval(before), _interval(point)
        if earlier is None or later is None:
            continue
        corners = [(before, earlier[0]), (point, later[0]), (point, later[1]), (before, earlier[1])]
        shades.append(f"M{_path(frame, corners)}Z")
    return f'<path class="ribbon" d="{"".join(shades)}"/>' if shades else ""


def _interval(point: HistoryPoint) -> tuple[float, float] | None:
    """Both ends of an ECG's interval; None when either is missing."""
    if point.probability_low is None or point.probability_high is None:
        return None
    return point.probability_low, point.probability_high


def _line(frame: _Frame, run: Sequence[HistoryPoint]) -> str:
    if len(run) < 2:
        return ""
    steps = _path(frame, [(point, point.probability or 0.0) for point in run])
    return f'<path class="risk-line" d="M{steps}"/>'


def _path(frame: _Frame, corners: Iterable[tuple[HistoryPoint, float]]) -> str:
    return "L".join(f"{frame.x(point.acquired_at):.1f} {frame.y(at):.1f}" for point, at in corners)


def _mark(frame: _Frame, point: HistoryPoint, options: TrendOptions) -> str:
    """Draw one ECG with its interval; what is said of it appears to who points at it."""
    x, risk = frame.x(point.acquired_at), point.probability or 0.0
    whisker = said = ""
    interval = _interval(point)
    if interval is not None:
        low, high = interval
        whisker = f'<path class="whisker" d="M{x:.1f} {frame.y(low):.1f}V{frame.y(high):.1f}"/>'
        said = f" ({low:.2f}–{high:.2f})"
    state = "high" if point.phenotype is Phenotype.HIGH else "low"
    is_marked = point.ecg_id == options.marked_ecg_id
    words = f"{moment(point.acquired_at, options.zone)}: {risk:.2f}{said}, {point.phenotype}"
    return (
        f'<g class="ecg {state}{" spoken-of" if is_marked else ""}"><title>{escape(words)}</title>{whisker}'
        f'<circle cx="{x:.1f}" cy="{frame.y(risk):.1f}" r="{6 if is_marked else 3.4:g}"/></g>'
    )


def _model_changes(frame: _Frame, ordered: Sequence[HistoryPoint]) -> list[str]:
    """Mark where another model takes over: scores before and after do not compare."""
    return [
        f'<g class="model-change"><title>Model {escape(point.bundle_version)} from here on</title>'
        f'<path d="M{frame.x(point.acquired_at) - 4:.1f} {_TOP:g}V{frame.floor:g}"/></g>'
        for before, point in pairwise(ordered)
        if before.bundle_version != point.bundle_version
    ]


def _alert_mark(frame: _Frame, alert: AlertMark) -> str:
    x = frame.x(alert.raised_for)
    return (
        f'<g class="alert-mark"><title>{escape(alert.label)}</title>'
        f'<path class="stem" d="M{x:.1f} {_TOP:g}V{frame.floor:g}"/>'
        f'<path class="flag" d="M{x - 6:.1f} {_TOP - 11:g}h12l-6 10z"/></g>'
    )


def _not_scored_row(frame: _Frame, ordered: Sequence[HistoryPoint], options: TrendOptions) -> list[str]:
    """Draw the row below the axis of risk, with the reason wherever its words fit."""
    missing = [point for point in ordered if point.probability is None]
    if not missing:
        return []
    y = frame.floor + _ROW / 2 + 2
    row = [_row_label(y)]
    places = [frame.x(point.acquired_at) for point in missing]
    bounds, free_from = [*places[1:], frame.width - _RIGHT], _LEFT
    for i, (x, point) in enumerate(zip(places, missing, strict=True)):
        reason = reason_words(point.not_scored_reasons)
        words = f"{moment(point.acquired_at, options.zone)}: not scored, {reason}"
        row.append(
            f'<g class="not-scored"><title>{escape(words)}</title>'
            f'<path d="M{x - 4:.1f} {y - 4:g}l8 8m0 -8l-8 8"/></g>'
        )
        wide = len(reason) * _PX_PER_LETTER + 16
        if bounds[i] - x > wide:
            row.append(_reason(x + 8, y, "start", reason))
            free_from = x + wide
        elif i == len(places) - 1 and x - free_from > wide:
            row.append(_reason(x - 8, y, "end", reason))
        else:
            free_from = x + 8
    return row


def _row_label(y: float) -> str:
    x = _LEFT - 7
    return (
        f'<text class="row-label" x="{x:g}" y="{y - 2:g}" text-anchor="end">not'
        f'<tspan x="{x:g}" dy="11">scored</tspan></text>'
    )


def _reason(x: float, y: float, anchor: str, words: str) -> str:
    return f'<text class="reason" x="{x:.1f}" y="{y + 4:g}" text-anchor="{anchor}">{escape(words)}</text>'


def _nothing(frame: _Frame) -> str:
    x, y = frame.width / 2, frame.y(0.25)
    return f'<text class="nothing" x="{x:g}" y="{y:.1f}" text-anchor="middle">no ECG in this time</text>'
