"""Quiet for a patient, a ward or a site: who asked for it, and from when to when it held."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from schemas.alert import AlertRaised
from schemas.audit import CareAction, CareScope, CareVerb

#: Where a mute is kept: what it is about, which patient, ward or site, and of a ward the site, if stated.
MuteKey = tuple[CareScope, str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mute:
    """Alerts of a patient, ward or site are kept quiet: listed, not paged.

    Attributes
    ----------
    until : datetime
        UTC.
    site_id : str
        Of a ward: of which site; empty: the wards of that name at every site.
    """

    scope: CareScope
    subject: str
    until: datetime
    actor: str
    reason: str
    since: datetime
    site_id: str = ""

    @property
    def key(self) -> MuteKey:
        """Where it is kept."""
        return self.scope, self.subject, self.site_id

    def covers(self, alert: AlertRaised, now: datetime) -> bool:
        """Whether it keeps this alert quiet now."""
        return self.key in subjects_of(alert) and self.since <= now < self.until


def subjects_of(alert: AlertRaised) -> tuple[MuteKey, ...]:
    """Return what a mute that covers the alert may be about."""
    everywhere = (
        (CareScope.PATIENT, alert.patient_id, ""),
        (CareScope.WARD, alert.ward_id, ""),
        (CareScope.SITE, alert.site_id, ""),
    )
    # Two sites may each have a ward of that name.
    return (*everywhere, (CareScope.WARD, alert.ward_id, alert.site_id)) if alert.site_id else everywhere


@dataclass(slots=True, kw_only=True)
class MuteFold:
    """All acts of muting beyond one alert, and what they come to; the same whatever their order."""

    _acts: dict[MuteKey, dict[str, CareAction]] = field(default_factory=dict)
    _spans: dict[MuteKey, tuple[Mute, ...]] = field(default_factory=dict)

    def take(self, act: CareAction) -> None:
        """Fold one act; what neither mutes nor unmutes a subject changes nothing."""
        if act.scope is CareScope.ALERT or act.verb not in (CareVerb.MUTED, CareVerb.UNMUTED):
            return
        key = (act.scope, act.subject, act.site_id)
        acts = self._acts.setdefault(key, {})
        acts[act.action_id] = min(acts.get(act.action_id, act), act, key=earlier)
        self._spans[key] = _spans(sorted(acts.values(), key=moment))

    def over(self, alert: AlertRaised) -> tuple[Mute, ...]:
        """Return all mutes there were of the alert's patient, ward and site, each as long as it held."""
        return tuple(mute for key in subjects_of(alert) for mute in self._spans.get(key, ()))

    @property
    def standing(self) -> dict[MuteKey, Mute]:
        """The newest mute of each subject that nobody lifted; it may have run out."""
        newest = {key: max(acts.values(), key=moment) for key, acts in self._acts.items()}
        return {
            key: self._spans[key][-1]
            for key, act in newest.items()
            if act.verb is CareVerb.MUTED and act.expires_at is not None
        }

    def knows(self, about: MuteKey, action_id: str) -> bool:
        """Whether this very act on a subject was folded."""
        return action_id in self._acts.get(about, {})

    def forget(self, before: datetime) -> None:
        """Drop subjects of which nothing was said, and nothing held, since a time."""
        for key in list(self._acts):
            ends = [max(act.acted_at, act.expires_at or act.acted_at) for act in self._acts[key].values()]
            if max(ends) < before:
                del self._acts[key], self._spans[key]


def moment(act: CareAction) -> tuple[datetime, str]:
    """Order acts by time, then id."""
    return act.acted_at, act.action_id


def earlier(act: CareAction) -> tuple[datetime, str]:
    """Order accounts of one act: two processes may note it in different words, and the earlier holds."""
    return act.acted_at, repr(act)


def _spans(acts: Sequence[CareAction]) -> tuple[Mute, ...]:
    spans: list[Mute] = []
    for act in acts:
        if spans and act.acted_at < spans[-1].until:
            # Each act on a subject ends the mute before it, or takes its place.
            spans[-1] = replace(spans[-1], until=act.acted_at)
        if act.verb is CareVerb.MUTED and act.expires_at is not None:
            spans.append(
                Mute(
                    scope=act.scope,
                    subject=act.subject,
                    until=act.expires_at,
                    actor=act.actor,
                    reason=act.reason,
                    since=act.acted_at,
                    site_id=act.site_id,
                )
            )
    return tuple(spans)
