"""What a channel is to say, in words: short, the same every time, no patient where it may leave the house.

Texts come from records, so they are made safe here for whoever puts them into a header or a line: no control
signs, no line ends but ours, bounded in length.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from schemas.alert import AlertRaised, Priority
from streams.deliver.case import AlertCase
from streams.deliver.life import LifeState

#: Longest subject, characters: one line of a phone's lock screen, and far below a mail header's 998.
MAX_SUBJECT_CHARS: Final = 150

#: Longest line of a text, characters: ten times a warning, and one fits any chat message with the rest.
_MAX_LINE_CHARS: Final = 2000

_URGENCY: Final = {Priority.HIGH: "Urgent", Priority.MEDIUM: "Soon", Priority.LOW: "For information"}

#: Why nobody is asked to look any more.
_OVER_WORDS: Final = {
    LifeState.CLOSED: "The patient is no longer in the high-risk phenotype.",
    LifeState.ACCEPTED: "Somebody answered: it was right to tell.",
    LifeState.REJECTED: "Somebody answered: it was not right to tell.",
    LifeState.EXPIRED: "Nobody answered in time.",
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Notice:
    """An alert on its way to somebody.

    Attributes
    ----------
    severity : Priority
        How urgently it asks for an answer, by the routes.
    recipient : str
        Who is meant: a role, no person.
    level : int
        Step of the escalation ladder, from 0.
    link : str
        URL of the alert's page; empty where there is none.
    now : datetime
        UTC; when it is sent.
    """

    case: AlertCase
    severity: Priority
    recipient: str
    level: int
    link: str
    now: datetime

    @property
    def alert(self) -> AlertRaised:
        """The alert itself."""
        return self.case.alert

    @property
    def is_over(self) -> bool:
        """Whether nobody is asked to look any more: closed, judged or expired."""
        return self.case.over_at is not None


def subject_of(notice: Notice) -> str:
    """Say in one sentence what is new: urgency, ward and risk, no patient."""
    alert = notice.alert
    start = "Over" if notice.is_over else _URGENCY[notice.severity]
    step = f", not answered (step {notice.level})" if notice.level and not notice.is_over else ""
    ward = f" in ward {one_line(alert.ward_id)}" if alert.ward_id else ""
    return one_line(f"{start}{step}: {_risk_moved(alert)}{ward}.", MAX_SUBJECT_CHARS)


def text_of(notice: Notice, *, with_patient: bool) -> str:
    """Write the whole notice, a line for each thing a reader asks for.

    Parameters
    ----------
    with_patient : bool
        Whether to name the patient; not where the text leaves the hospital.
    """
    alert = notice.alert
    lines = (
        one_line(alert.change_text),
        f"Patient: {one_line(alert.patient_id)}" if with_patient else "",
        f"Where: {place_of(alert)}",
        f"Risk, ECG before and this ECG: {risk_text(alert)}",
        f"Motion (synthetic, from the ECG): {motion_text(alert)}",
        f"Signal quality: {quality_text(alert)}",
        f"ECG recorded: {utc_text(alert.acquired_at)}; alert raised: {utc_text(notice.case.raised_at)}",
        f"Nobody has answered yet; step {notice.level} of the ladder."
        if notice.level and not notice.is_over
        else "",
        _OVER_WORDS.get(notice.case.state, ""),
        not_for_text(alert),
        f"Model {one_line(alert.bundle_version)}, policy {one_line(alert.policy_version)}",
        f"See and answer: {notice.link}" if notice.link else "",
    )
    return "\n".join(line for line in lines if line)


def risk_text(alert: AlertRaised) -> str:
    """Write the risk before and after with its interval: ``0.12 → 0.61 (90 % interval 0.52 to 0.70)``."""
    before = "no earlier score" if alert.probability_before is None else f"{alert.probability_before:.2f}"
    return f"{before} → {alert.probability:.2f}{_interval(alert)}"


def motion_text(alert: AlertRaised) -> str:
    """Write e' and e'/a', or say that there is none; a missing value is never a zero."""
    if alert.motion is None:
        return "none"
    e_prime, ratio = alert.motion.e_prime_cm_s, alert.motion.e_over_a
    first = "e' not measurable" if e_prime is None else f"e' {e_prime:.1f} cm/s"
    return f"{first}, " + ("e'/a' not measurable" if ratio is None else f"e'/a' {ratio:.2f}")


def quality_text(alert: AlertRaised) -> str:
    """Write the score of the signal, and what was found in it."""
    found = ", ".join(one_line(reason) for reason in alert.quality.reasons)
    return f"{alert.quality.score:.2f} of 1" + (f" ({found})" if found else "")


def not_for_text(alert: AlertRaised) -> str:
    """Say what the model is not for; "" when its manifest says nothing."""
    text = one_line(alert.not_for_text)
    return text if not text or text.lower().startswith("not for") else f"Not for: {text}"


def place_of(alert: AlertRaised) -> str:
    """Name ward and site as far as they are known."""
    parts = [
        f"ward {alert.ward_id}" if alert.ward_id else "",
        f"site {alert.site_id}" if alert.site_id else "",
    ]
    return one_line(", ".join(part for part in parts if part)) or "not stated"


def utc_text(moment: datetime) -> str:
    """Write a time to the minute: ``2026-11-24 08:12 UTC``."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def one_line(text: str, most: int = _MAX_LINE_CHARS) -> str:
    r"""Make text safe for one line: runs of blanks and what cannot be printed become one blank.

    >>> one_line("a\r\nBcc: x\x00y")
    'a Bcc: x y'
    """
    printable = "".join(char if char.isprintable() else " " for char in text)
    whole = " ".join(printable.split())
    return whole if len(whole) <= most else f"{whole[: most - 1].rstrip()}…"


def _risk_moved(alert: AlertRaised) -> str:
    after = f"{alert.probability:.2f}"
    if alert.probability_before is None:
        return f"risk of the high-risk diastolic phenotype {after} on the first scored ECG"
    return f"risk of the high-risk diastolic phenotype {alert.probability_before:.2f} → {after}"


def _interval(alert: AlertRaised) -> str:
    if alert.probability_low is None or alert.probability_high is None:
        return " (no interval)"
    return f" (90 % interval {alert.probability_low:.2f} to {alert.probability_high:.2f})"
