"""What a feed's watch counts, tells and goes on from, with a clock moved by hand and no Kafka."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from aiokafka.errors import KafkaTimeoutError
from prometheus_client import CollectorRegistry

from schemas.alert import AlarmKind, Priority, TechnicalAlarm
from schemas.codec import Codec
from schemas.feed import FeedHealth, RefusalCount
from schemas.identity import alarm_id
from schemas.recorded import EcgRecorded
from schemas.registry import FileRegistry
from streams.feeds.admission import Admission, Delivery, Ending, Origin
from streams.feeds.document import Document
from streams.feeds.health.gauges import SourceGauges
from streams.feeds.health.report import Reporter
from streams.feeds.health.source import GRACE_S, key_of
from streams.feeds.health.watch import MOST_SOURCES, FeedWatch
from streams.feeds.refusal import RefusalReason

#: A Monday.
START = datetime(2026, 3, 2, tzinfo=UTC)
CODEC = Codec(FileRegistry())
CART = Origin(feed="dicom", source="CART7", site_id="north")
GRACE = timedelta(seconds=GRACE_S)


class Written:
    """Stands in for Kafka: keeps what is sent, or refuses it."""

    def __init__(self) -> None:
        self.records: list[Any] = []
        self.refuses = False

    async def send_and_wait(
        self, topic: str, *, value: bytes, key: bytes, headers: list[tuple[str, bytes | None]]
    ) -> None:
        if self.refuses:
            raise KafkaTimeoutError
        assert b"CART" in key or b"|" in key
        self.records.append(CODEC.decode(value))

    def of(self, record_type: type) -> list[Any]:
        return [record for record in self.records if isinstance(record, record_type)]


class Gateway:
    """One gateway's watch and reporter, whose clock is set by hand."""

    def __init__(self, written: Written, now: datetime, since: list[FeedHealth] | None = None) -> None:
        self.now = now
        self.watch = FeedWatch("dicom", now)
        self.gauges = SourceGauges(CollectorRegistry())
        self.reporter = Reporter(self.watch, self.gauges, written, CODEC, lambda: self.now)
        for health in since or []:
            self.watch.follow(health)

    async def report_at(self, now: datetime) -> bool:
        self.now = now
        return await self.reporter.report()


def delivered(at: datetime, origin: Origin = CART) -> Delivery:
    return Delivery(document=Document(content=b"x"), origin=origin, received_at=at)


def ecg(acquired_at: datetime) -> EcgRecorded:
    return EcgRecorded(
        ecg_id="00000000-0000-0000-0000-000000000001",
        patient_id="P-1",
        acquired_at=acquired_at,
        sample_rate_hz=500.0,
        lead_names=("I",),
        uv_per_unit=1.0,
        samples=np.zeros((1, 10), np.int16),
    )


ACCEPTED = Admission(ending=Ending.ACCEPTED, message="in", ecg_id="e")
REPEATED = Admission(ending=Ending.REPEATED, message="was in", ecg_id="e")
REFUSED = Admission(
    ending=Ending.QUARANTINED, message="no", quarantine_id="q", reason=RefusalReason.NO_PATIENT
)


def speak(gateway: Gateway, at: datetime, origin: Origin = CART) -> None:
    gateway.watch.note(delivered(at, origin), ACCEPTED, ecg(at - timedelta(seconds=15)))


async def steady(written: Written, n_days: int = 9) -> Gateway:
    """A gateway that heard its cart every half hour for days; the last ECG is at ``START + n_days``."""
    gateway = Gateway(written, START)
    for n in range(n_days * 48 + 1):
        speak(gateway, START + n * timedelta(minutes=30))
    await gateway.report_at(START + timedelta(days=n_days))
    return gateway


async def test_endings_are_counted_by_source_and_refusals_by_reason() -> None:
    written = Written()
    gateway = Gateway(written, START)
    for admission in (ACCEPTED, ACCEPTED, REPEATED, REFUSED):
        gateway.watch.note(delivered(START), admission, None)
    gateway.watch.note(delivered(START, Origin(feed="dicom", source="CART8")), REFUSED, None)
    await gateway.report_at(START)
    one, other = written.of(FeedHealth)
    assert (one.source, one.site_id) == ("CART7", "north")
    assert (one.n_received, one.n_accepted, one.n_repeated, one.n_quarantined) == (4, 2, 1, 1)
    assert one.refusals == (RefusalCount(code="NO_PATIENT", count=1),)
    assert (other.source, other.n_received) == ("CART8", 1)


async def test_times_rate_and_clock_of_what_was_accepted_are_reported() -> None:
    written = Written()
    gateway = Gateway(written, START)
    for n in range(48):
        at = START + n * timedelta(minutes=30)
        gateway.watch.note(delivered(at), ACCEPTED, ecg(at + timedelta(minutes=20)))
    await gateway.report_at(START + timedelta(hours=23, minutes=30))
    (health,) = written.of(FeedHealth)
    assert health.last_received_at == START + timedelta(hours=23, minutes=30)
    assert health.last_acquired_at == START + timedelta(hours=23, minutes=50)
    assert health.rate_per_h == 2.0
    assert health.clock_skew_s == 1200.0
    assert len(health.gaps_s) == 48


async def test_a_repeat_says_nothing_of_the_clock() -> None:
    written = Written()
    gateway = Gateway(written, START)
    gateway.watch.note(delivered(START), REPEATED, ecg(START + timedelta(days=3)))
    await gateway.report_at(START)
    (health,) = written.of(FeedHealth)
    assert health.clock_skew_s is None
    assert health.last_acquired_at is None


async def test_what_did_not_change_is_not_written_again() -> None:
    written = Written()
    gateway = await steady(written, 1)
    n_before = len(written.records)
    await gateway.report_at(gateway.now + timedelta(minutes=1))
    assert len(written.records) == n_before
    gateway.now += timedelta(minutes=1)
    await gateway.reporter.report(is_whole=True)
    assert len(written.records) == n_before + 1


async def test_silence_raises_one_alarm_and_speaking_ends_the_same() -> None:
    written = Written()
    gateway = await steady(written)
    last = gateway.now
    for hour in range(1, 30):
        await gateway.report_at(last + timedelta(hours=hour))
    (raised,) = written.of(TechnicalAlarm)
    assert raised == TechnicalAlarm(
        alarm_id=alarm_id(kind="FEED_SILENT", source="dicom|CART7|north", started_at=last),
        kind=AlarmKind.FEED_SILENT,
        priority=Priority.MEDIUM,
        source="dicom|CART7|north",
        started_at=last,
        message=raised.message,
        action_text=raised.action_text,
    )
    assert written.of(FeedHealth)[-1].silent_since == last

    heard = []
    gateway.watch.on_news = lambda: heard.append("now")
    speak(gateway, last + timedelta(hours=30))
    assert heard == ["now"]
    await gateway.report_at(last + timedelta(hours=30, seconds=1))
    await gateway.report_at(last + timedelta(hours=30, seconds=2))
    _, ended = written.of(TechnicalAlarm)
    assert (ended.alarm_id, ended.started_at) == (raised.alarm_id, last)
    assert ended.ended_at == last + timedelta(hours=30)
    assert written.of(FeedHealth)[-1].silent_since is None


async def test_a_restart_goes_on_and_raises_no_second_alarm() -> None:
    written = Written()
    before = await steady(written)
    last = before.now
    await before.report_at(last + timedelta(hours=10))
    reported = written.of(FeedHealth)[-1]
    assert len(written.of(TechnicalAlarm)) == 1

    after = Gateway(written, last + timedelta(hours=11), [reported])
    await after.report_at(last + timedelta(hours=12))
    assert len(written.of(TechnicalAlarm)) == 1
    speak(after, last + timedelta(hours=13))
    await after.report_at(last + timedelta(hours=13))
    assert written.of(TechnicalAlarm)[-1].ended_at == last + timedelta(hours=13)
    health = written.of(FeedHealth)[-1]
    assert health.n_received == reported.n_received + 1
    assert health.silent_after_s is not None


async def test_killed_between_alarm_and_report_it_raises_the_same_again() -> None:
    written = Written()
    before = await steady(written)
    last, reported = before.now, written.of(FeedHealth)[-1]
    await before.report_at(last + timedelta(hours=10))
    after = Gateway(written, last + timedelta(hours=10), [reported])
    await after.report_at(last + timedelta(hours=10) + GRACE)
    one, again = written.of(TechnicalAlarm)
    assert one == again


async def test_killed_between_alarm_and_report_the_alarm_still_ends_when_it_speaks_first() -> None:
    written = Written()
    before = await steady(written)
    last, reported = before.now, written.of(FeedHealth)[-1]
    await before.report_at(last + timedelta(hours=10))
    after = Gateway(written, last + timedelta(hours=10), [reported])
    speak(after, last + timedelta(hours=10, minutes=1))
    await after.report_at(last + timedelta(hours=10, minutes=1))
    raised, ended = written.of(TechnicalAlarm)
    assert ended.alarm_id == raised.alarm_id
    assert ended.ended_at == last + timedelta(hours=10, minutes=1)


async def test_after_a_start_sources_have_time_to_speak_before_they_are_called_silent() -> None:
    written = Written()
    last, reported = (await steady(written)).now, written.of(FeedHealth)[-1]
    after = Gateway(written, last + timedelta(hours=10), [reported])
    await after.report_at(last + timedelta(hours=10) + GRACE - timedelta(seconds=1))
    assert written.of(TechnicalAlarm) == []


async def test_while_kafka_is_away_nobody_is_called_silent_and_nothing_is_lost() -> None:
    written = Written()
    gateway = await steady(written)
    last = gateway.now
    written.refuses = True
    speak(gateway, last + timedelta(minutes=10))
    assert not await gateway.report_at(last + timedelta(hours=10))
    written.refuses = False
    assert await gateway.report_at(last + timedelta(hours=10, seconds=1))
    assert written.of(TechnicalAlarm) == []
    assert written.of(FeedHealth)[-1].last_received_at == last + timedelta(minutes=10)
    await gateway.report_at(last + timedelta(hours=11))
    assert len(written.of(TechnicalAlarm)) == 1


async def test_what_another_process_of_the_feed_received_is_no_silence_here() -> None:
    written = Written()
    gateway = await steady(written)
    last = gateway.now
    other = Gateway(written, last, [written.of(FeedHealth)[-1]])
    for hour in (1, 8):
        speak(other, last + timedelta(hours=hour))
    await other.report_at(last + timedelta(hours=8))
    gateway.watch.follow(written.of(FeedHealth)[-1])
    await gateway.report_at(last + timedelta(hours=9))
    assert written.of(TechnicalAlarm) == []


async def test_sources_of_other_feeds_are_left_to_theirs() -> None:
    written = Written()
    await steady(written)
    health = written.of(FeedHealth)[-1]
    mllp = FeedWatch("mllp", START)
    mllp.follow(health)
    assert list(mllp.reports(START, is_whole=True)) == []
    assert list(mllp.alarms(START + timedelta(days=300))) == []


async def test_senders_under_ever_new_names_are_counted_as_one() -> None:
    written = Written()
    gateway = Gateway(written, START)
    for n in range(MOST_SOURCES + 50):
        speak(gateway, START, Origin(feed="dicom", source=f"S{n}"))
    await gateway.report_at(START)
    reports = {health.source: health.n_received for health in written.of(FeedHealth)}
    assert len(reports) == MOST_SOURCES + 1
    assert reports["OTHER"] == 50


def test_whatever_a_sender_calls_itself_becomes_a_key() -> None:
    assert key_of(Origin(feed="mllp", source=" A\nB\ud800" + "x" * 300)) == ("mllp", "A?B?" + "x" * 76, "")


async def test_gauges_show_what_is_reported() -> None:
    written = Written()
    gateway = await steady(written)
    last = gateway.now
    labels = {"feed": "dicom", "source": "CART7", "site": "north"}

    def gauge(name: str, **more: str) -> float | None:
        return gateway.gauges.registry.get_sample_value(f"diastole_feed_source_{name}", labels | more)

    assert gauge("deliveries", ending="ACCEPTED") == 9 * 48 + 1
    assert gauge("last_timestamp_seconds") == last.timestamp()
    assert gauge("clock_ahead_seconds") == -15.0
    assert gauge("silent") == 0
    await gateway.report_at(last + timedelta(hours=10))
    assert gauge("silent") == 1
