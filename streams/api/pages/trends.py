"""The trend of one patient in several widths, of which the style sheet shows the one that fits."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from streams.api.pages.reading import PageParts
from streams.api.trend_svg import AlertMark, TrendOptions, trend_svg
from streams.api.wording import KINDS, moment
from streams.deliver.case import AlertCase
from streams.history import HistoryPoint

#: How much an alert's page shows before the alert.
AROUND: Final = timedelta(days=90)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trends:
    """The pictures; ``large`` is empty where there is never so much room."""

    wide: str
    narrow: str
    large: str


def trends(
    points: Sequence[HistoryPoint],
    cases: Sequence[AlertCase],
    parts: PageParts,
    *,
    until: datetime,
    about: AlertCase | None = None,
    span: timedelta | None = AROUND,
    is_large: bool = False,
) -> Trends:
    """Draw the trend.

    Parameters
    ----------
    until : datetime
        UTC; later ECGs, by a cart's wrong clock, are shown too.
    about : AlertCase or None
        The alert that is spoken of: its ECG is drawn larger, and time counts back from it.
    span : timedelta or None
        None shows all that is kept.
    is_large : bool
        Whether the page may have the whole width of a screen for it.
    """
    anchor = until if about is None else about.alert.acquired_at
    since = None if span is None else anchor - span
    shown = [point for point in points if since is None or point.acquired_at >= since]
    marks = [
        AlertMark(
            raised_for=case.alert.acquired_at,
            label=f"Alert, {moment(case.alert.acquired_at, parts.zone)}: {KINDS[case.alert.kind]}",
        )
        for case in cases
        if since is None or case.alert.acquired_at >= since
    ]

    def drawn(key: str, width: float, height: float) -> str:
        options = TrendOptions(
            enter_threshold=parts.policy.enter_threshold,
            exit_threshold=parts.policy.exit_threshold,
            zone=parts.zone,
            gap=parts.gap,
            width=width,
            height=height,
            key=key,
            marked_ecg_id="" if about is None else about.alert.ecg_id,
        )
        return trend_svg(shown, options, marks)

    return Trends(
        wide=drawn("trend-wide", 760.0, 300.0),
        narrow=drawn("trend-narrow", 360.0, 270.0),
        large=drawn("trend-large", 1200.0, 340.0) if is_large else "",
    )
