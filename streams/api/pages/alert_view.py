"""Everything an alert's page says, worked out before a template sees it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from schemas.alert import AlertRaised
from schemas.audit import CareVerb
from schemas.risk import Contribution, Motion
from streams.api.motion_svg import NORMAL_CM_S, WALLS, motion_svg, waves_of
from streams.api.pages.inbox import Look, Row, row
from streams.api.pages.offers import offers
from streams.api.pages.timeline import Moment, timeline
from streams.api.wording import PARTS, moment, reason_words, weight_words
from streams.deliver.case import AlertCase

#: Log-odds that fill a bar: a factor of about 7 in the odds.
_FULL_LOG_ODDS: Final = 2.0
#: Half of a bar's drawing, units of its viewBox.
_HALF: Final = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One contribution: ``start`` and ``length`` are of its bar, 0 to 200, the middle is no effect."""

    name: str
    meaning: str
    words: str
    log_odds: float
    start: float
    length: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One line of the table of motion; texts, a dash where a wave is absent."""

    name: str
    cells: tuple[tuple[str, str], ...]
    is_low: tuple[bool, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertView:
    """The page of one alert, apart from its trend and its strip."""

    row: Row
    case: AlertCase
    alert: AlertRaised
    offers: tuple[CareVerb, ...]
    timeline: Sequence[Moment]
    parts: Sequence[Part]
    motion_svgs: Sequence[str]
    measured: Sequence[Measured]
    ratio: str
    has_a_prime: bool
    quality_words: str
    quality_percent: str
    facts: Sequence[tuple[str, str]]
    provenance: Sequence[tuple[str, str]]


def alert_view(case: AlertCase, look: Look) -> AlertView:
    """Work the page out."""
    alert = case.alert
    motion, rate = alert.motion, alert.measurements.heart_rate_bpm
    return AlertView(
        row=row(case, look),
        case=case,
        alert=alert,
        offers=offers(case) if look.may_act else (),
        timeline=timeline(case, look.zone),
        parts=[_part(each) for each in alert.contributions],
        motion_svgs=[motion_svg(motion, wall, cycle_ms=60_000 / rate if rate else None) for wall in WALLS]
        if motion
        else [],
        measured=_measured(motion) if motion else [],
        ratio=_number(motion.e_over_a, 2) if motion else "–",
        has_a_prime=bool(motion and motion.a_prime_septal_cm_s is not None),
        quality_words=reason_words(alert.quality.reasons)
        if alert.quality.reasons
        else "nothing to object to",
        quality_percent=f"{alert.quality.score:.0%}",
        facts=_facts(alert),
        provenance=_provenance(case, look),
    )


def _part(contribution: Contribution) -> Part:
    name, meaning = PARTS.get(contribution.name, (contribution.name, ""))
    length = min(abs(contribution.log_odds) / _FULL_LOG_ODDS, 1.0) * _HALF
    return Part(
        name=name,
        meaning=meaning,
        words=weight_words(contribution.log_odds),
        log_odds=contribution.log_odds,
        start=_HALF if contribution.log_odds > 0 else _HALF - length,
        length=max(length, 1.0),
    )


def _measured(motion: Motion) -> list[Measured]:
    lines = []
    for i, letter in enumerate("sea"):
        waves = [waves_of(motion, wall)[i] for wall in WALLS]
        ranges = [NORMAL_CM_S[letter][wall] for wall in WALLS]
        lines.append(
            Measured(
                name=waves[0].name,
                cells=tuple(
                    (_with_doubt(wave.speed_cm_s, wave.sd_cm_s), f"{low:g}–{high:g}")
                    for wave, (low, high) in zip(waves, ranges, strict=True)
                ),
                is_low=tuple(
                    wave.speed_cm_s is not None and wave.speed_cm_s < low
                    for wave, (low, _) in zip(waves, ranges, strict=True)
                ),
            )
        )
    return lines


def _with_doubt(speed: float | None, doubt: float | None) -> str:
    if speed is None:
        return "absent"
    return f"{speed:.1f}" if doubt is None else f"{speed:.1f} ± {doubt:.1f}"


def _facts(alert: AlertRaised) -> list[tuple[str, str]]:
    """Measurements a reader of the ECG wants beside it; a dash says that the feature is absent."""
    m = alert.measurements
    return [
        ("Heart rate", f"{_number(m.heart_rate_bpm)} /min"),
        ("PR", f"{_number(m.pr_ms)} ms"),
        ("QRS", f"{_number(m.qrs_ms)} ms"),
        ("QTc", f"{_number(m.qtc_ms)} ms"),
        ("QRS axis", f"{_number(m.qrs_axis_deg)}°"),
    ]


def _number(number: float | None, digits: int = 0) -> str:
    if number is None:
        return "–"
    return f"{round(number, digits) + 0.0:.{digits}f}".replace("-", "−")  # + 0.0: no minus before a zero


def _provenance(case: AlertCase, look: Look) -> list[tuple[str, str]]:
    alert = case.alert
    before = f"{alert.before_ecg_id}" if alert.before_ecg_id else "none"
    return [
        ("ECG recorded", moment(alert.acquired_at, look.zone)),
        ("ECG taken in", moment(alert.published_at, look.zone)),
        ("Scored", moment(alert.assessed_at, look.zone)),
        ("Alert raised", moment(case.raised_at, look.zone)),
        ("Recorded to raised", _delay(case.raised_at - alert.acquired_at)),
        ("Model", alert.bundle_version),
        ("Model hash", alert.bundle_sha256),
        ("Policy", alert.policy_version),
        ("Schema", "ecg.alert.v1 AlertRaised"),
        ("ECG id", alert.ecg_id),
        ("Compared with ECG", before),
        ("Alert id", alert.alert_id),
        ("Site", alert.site_id or "not stated"),
    ]


def _delay(span: timedelta) -> str:
    seconds = span.total_seconds()
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"
