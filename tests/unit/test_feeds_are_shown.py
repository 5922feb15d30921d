"""What feeds write is one line each for people, and one row a source in ``diastole feeds``."""

from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from ops.cli.feeds import feeds_table
from ops.rendering import record_text
from schemas.alert import AlarmKind, Priority, TechnicalAlarm
from schemas.feed import FeedHealth, RefusalCount
from schemas.patient_link import PatientLinked
from schemas.quarantine import EcgQuarantined, Piece, QuarantineAct, QuarantineVerb

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ID = "00000000-0000-0000-0000-000000000001"


def health(**changes: object) -> FeedHealth:
    given: dict[str, object] = {
        "feed": "dicom",
        "source": "CART7",
        "site_id": "north",
        "reported_at": NOW,
        "n_received": 12,
        "n_accepted": 9,
        "n_repeated": 1,
        "n_quarantined": 2,
        "last_received_at": NOW - timedelta(hours=3),
        "refusals": (RefusalCount(code="NO_PATIENT", count=2),),
        "rate_per_h": 0.5,
        "clock_skew_s": 3590.0,
        "silent_after_s": 5400.0,
    }
    return FeedHealth(**(given | changes))  # type: ignore[arg-type]


def shown(*reports: FeedHealth) -> str:
    console = Console(width=200)
    with console.capture() as capture:
        console.print(feeds_table(reports, NOW))
    return capture.get()


def test_a_source_is_one_row_with_all_an_operator_asks_for() -> None:
    row = shown(health()).splitlines()[-2]
    for cell in (
        "dicom",
        "CART7",
        "north",
        "3.0 h ago",
        "0.5",
        "NO_PATIENT (2)",
        "1 h ahead: daylight saving time or zone?",
        "silent after 1.5 h",
    ):
        assert cell in row


def test_silence_stands_out() -> None:
    assert "SILENT since 2026-03-01 09:00Z" in shown(health(silent_since=NOW - timedelta(hours=3)))


def test_what_is_not_known_is_a_dash_and_never_a_zero() -> None:
    row = shown(health(last_received_at=None, refusals=(), clock_skew_s=None, silent_after_s=None))
    assert row.count("—") == 3
    assert "not known yet" in row


LINKED = PatientLinked(
    prior_patient_id="P-1", surviving_patient_id="P-2", linked_at=NOW, origin="adt-a40", actor="engine"
)
ALARM = TechnicalAlarm(
    alarm_id=ID,
    kind=AlarmKind.FEED_SILENT,
    priority=Priority.MEDIUM,
    source="dicom|CART7|north",
    started_at=NOW,
    message="No ECG.",
    action_text="See.",
)
QUARANTINED = EcgQuarantined(
    quarantine_id=ID,
    received_at=NOW,
    code="NO_PATIENT",
    reason="names no patient;\ncorrect it",
    feed="dicom",
    source="CART7",
    site_id="north",
    source_format="DICOM",
    n_bytes=3,
    pieces=(Piece(partition=0, offset=0),),
    is_sealed=True,
)
ACT = QuarantineAct(
    act_id=ID,
    quarantine_id=ID,
    verb=QuarantineVerb.DISCARDED,
    actor="nurse",
    acted_at=NOW,
    origin="command",
    reason="a test",
)


@pytest.mark.parametrize(
    ("record", "text"),
    [
        (LINKED, "P-1 is now P-2 (adt-a40)"),
        (ALARM, "ALARM MEDIUM FEED_SILENT dicom|CART7|north  No ECG."),
        (QUARANTINED, f"QUARANTINED {ID} NO_PATIENT from dicom CART7  names no patient; correct it"),
        (ACT, f"DISCARDED {ID} by nurse  a test"),
        (health(), "dicom CART7 north  9 accepted, 1 repeated, 2 quarantined"),
    ],
    ids=lambda each: type(each).__name__,
)
def test_each_record_of_feeds_is_one_line(record: object, text: str) -> None:
    assert record_text(record) == text
