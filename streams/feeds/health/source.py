"""What is known of one source of ECGs, and what follows from it: its report, its silence, its alarm."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from schemas.alert import AlarmKind, Priority, TechnicalAlarm
from schemas.feed import FeedHealth, RefusalCount
from schemas.identity import alarm_id
from schemas.recorded import EcgRecorded
from streams.feeds.admission import Admission, Ending, Origin
from streams.feeds.health import rhythm as rhythms
from streams.feeds.health.skew import Delays, jump_s

#: A gateway that was down cannot know who was silent: after a start sources have so long to speak, s.
GRACE_S: Final = 900.0

#: Of a source's name. Three of them and two bars stay below the 256 characters of an alarm's source.
_MOST_CHARS: Final = 80

_HOUR: Final = timedelta(hours=1)
_DAY_H: Final = 24

#: Feed, source, site.
SourceKey = tuple[str, str, str]


def key_of(origin: Origin) -> SourceKey:
    """Name a source; whatever a sender calls itself, in printable characters and not too long."""
    return _clean(origin.feed), _clean(origin.source), _clean(origin.site_id)


def text_of(key: SourceKey) -> str:
    """Write it as one text: the Kafka key of its records.

    >>> text_of(("dicom", "CART7", "north"))
    'dicom|CART7|north'
    """
    return "|".join(key)


@dataclass(slots=True, kw_only=True)
class WatchedSource:
    """One source as one gateway sees it; changes with each delivery.

    Attributes
    ----------
    is_ours : bool
        Something of it came in here, not only through another process of the same feed.
    is_fresh : bool
        It was read back from Kafka and nothing came in since.
    is_changed : bool
        Something is not reported yet.
    silent_since, spoke_at : datetime or None
        UTC; the last ECG before an alarm that is out, and the first one after it.
    per_hour : dict
        Deliveries by hour since 1970, of the last day.
    """

    key: SourceKey
    counts: Counter[Ending] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    rhythm: rhythms.Rhythm | None = None
    delays: Delays = field(default_factory=Delays)
    last_acquired_at: datetime | None = None
    clock_skew_s: float | None = None
    silent_after_s: float | None = None
    silent_since: datetime | None = None
    spoke_at: datetime | None = None
    per_hour: dict[int, float] = field(default_factory=dict)
    is_ours: bool = False
    is_fresh: bool = False
    is_changed: bool = True

    @property
    def last_received_at(self) -> datetime | None:
        """UTC; when the last delivery came in."""
        return None if self.rhythm is None else datetime.fromtimestamp(self.rhythm.last_s, UTC)

    def note(self, received_at: datetime, admission: Admission, ecg: EcgRecorded | None) -> float | None:
        """Take one delivery in; gives by how much the clock was put forward or back (± 3600 s), if it was."""
        self.is_ours = self.is_changed = True
        self.counts[admission.ending] += 1
        if admission.reason is not None:
            self.refusals[admission.reason.value] += 1
        hour = _hour(received_at)
        self.per_hour[hour] = self.per_hour.get(hour, 0.0) + 1.0
        self.heard(received_at)
        # A repeat says nothing of the clock: its first delivery may have been days ago.
        if ecg is None or admission.ending is not Ending.ACCEPTED:
            return None
        return self._set_clock(ecg.acquired_at, received_at)

    def heard(self, received_at: datetime) -> None:
        """Take in that it spoke, here or through another process."""
        last = self.last_received_at
        if last is not None and received_at <= last:
            return
        if self.is_fresh and last is not None and self._is_silent_at(received_at):
            # The process before may have raised an alarm and been killed before it could say so.
            self.silent_since = self.silent_since or last
        self.is_fresh = False
        if self.silent_since is not None and self.spoke_at is None:
            self.spoke_at = received_at
        self.rhythm = rhythms.begin(received_at) if self.rhythm is None else self.rhythm.after(received_at)

    def listen(self, zone: tzinfo) -> None:
        """Find out when it will be silent, from its rhythm up to now."""
        if self.rhythm is not None:
            self.silent_after_s = rhythms.silent_after_s(self.rhythm, zone)

    def alarm(self, now: datetime, watched_since: datetime) -> TechnicalAlarm | None:
        """Give the alarm that is due: that it is silent, or that it speaks again; None when none is.

        The same until :meth:`alarmed` is told, and after a restart: telling it twice changes nothing.
        """
        if self.silent_since is not None:
            return None if self.spoke_at is None else self._alarm(self.silent_since, self.spoke_at)
        last = self.last_received_at
        has_grace = now < watched_since + timedelta(seconds=GRACE_S)
        if last is None or has_grace or not self._is_silent_at(now):
            return None
        return self._alarm(last, None)

    def alarmed(self, alarm: TechnicalAlarm) -> None:
        """Note that Kafka has the alarm."""
        self.is_changed = True
        self.silent_since = alarm.started_at if alarm.ended_at is None else None
        # It may have spoken while Kafka was being told that it is silent.
        last = self.last_received_at
        self.spoke_at = last if self.silent_since is not None and last != self.silent_since else None

    def health(self, now: datetime) -> FeedHealth:
        """Report on it."""
        feed, source, site_id = self.key
        self.per_hour = {h: n for h, n in self.per_hour.items() if h > _hour(now) - _DAY_H}
        return FeedHealth(
            feed=feed,
            source=source,
            site_id=site_id,
            reported_at=now,
            n_received=self.counts.total(),
            n_accepted=self.counts[Ending.ACCEPTED],
            n_repeated=self.counts[Ending.REPEATED],
            n_quarantined=self.counts[Ending.QUARANTINED],
            last_received_at=self.last_received_at,
            last_acquired_at=self.last_acquired_at,
            refusals=tuple(RefusalCount(code=code, count=n) for code, n in self.refusals.most_common()),
            rate_per_h=round(sum(self.per_hour.values()) / _DAY_H, 3),
            clock_skew_s=self.clock_skew_s,
            gaps_s=() if self.rhythm is None else self.rhythm.gaps_s(),
            silent_after_s=self.silent_after_s,
            silent_since=self.silent_since,
        )

    def _set_clock(self, acquired_at: datetime, received_at: datetime) -> float | None:
        self.last_acquired_at = max(acquired_at, self.last_acquired_at or acquired_at)
        self.delays = self.delays.after(acquired_at, received_at)
        before, now = self.clock_skew_s, self.delays.skew_s()
        # After a restart the few ECGs since then say less than what was known.
        self.clock_skew_s = before if now is None else now
        return jump_s(before, self.clock_skew_s)

    def _is_silent_at(self, now: datetime) -> bool:
        last = self.last_received_at
        if last is None or self.silent_after_s is None:
            return False
        return now - last > timedelta(seconds=self.silent_after_s)

    def _alarm(self, since: datetime, ended_at: datetime | None) -> TechnicalAlarm:
        source = text_of(self.key)
        return TechnicalAlarm(
            alarm_id=alarm_id(kind=AlarmKind.FEED_SILENT, source=source, started_at=since),
            kind=AlarmKind.FEED_SILENT,
            priority=Priority.MEDIUM,
            source=source,
            started_at=since,
            message=f"No ECG since {since:%Y-%m-%d %H:%M} UTC, which is none of the rhythm of this source.",
            action_text=(
                "See whether the cart is on and connected and its export runs; then whether the gateway "
                "refuses what it sends (diastole feeds, diastole quarantine list)."
            ),
            ended_at=ended_at,
        )


def restored(health: FeedHealth) -> WatchedSource:
    """Go on from what was reported last."""
    source = WatchedSource(key=(health.feed, health.source, health.site_id), is_fresh=True, is_changed=False)
    source.counts.update(_counts(health))
    source.refusals.update({refusal.code: refusal.count for refusal in health.refusals})
    if health.last_received_at is not None:
        source.rhythm = rhythms.restored(health.last_received_at, health.gaps_s)
    source.last_acquired_at = health.last_acquired_at
    source.clock_skew_s = health.clock_skew_s
    source.silent_after_s = health.silent_after_s
    source.silent_since = health.silent_since
    # Which hours they came in is not known any more; in a day it does not matter.
    newest = _hour(health.reported_at)
    source.per_hour = dict.fromkeys(range(newest - _DAY_H + 1, newest + 1), health.rate_per_h)
    return source


def _counts(health: FeedHealth) -> Mapping[Ending, int]:
    return {
        Ending.ACCEPTED: health.n_accepted,
        Ending.REPEATED: health.n_repeated,
        Ending.QUARANTINED: health.n_quarantined,
    }


def _hour(moment: datetime) -> int:
    return int(moment.timestamp() // _HOUR.total_seconds())


def _clean(name: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in name.strip())[:_MOST_CHARS]
