"""What the alert stage remembers of a patient between two ECGs, and its bytes."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from schemas.errors import ConfigurationError, InvalidRecordError, PoisonError
from schemas.invariants import require_number, require_text, require_utc, require_uuid
from schemas.risk import Phenotype, RiskAssessed
from streams.transition import RiskState

#: Version of the bytes. Keys may be added within a version if a reader can do without them; a changed meaning
#: needs the next number, and a reader for the old one.
STATE_VERSION: Final = 1

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


#: What JSON, and the checks of what is in it, raise on anything else.
_NO_STATE: Final = (InvalidRecordError, ValueError, LookupError, TypeError, OverflowError, RecursionError)


class StateVersionError(ConfigurationError):
    """A patient's alert state was written by another Diastole."""

    code = "STATE_VERSION"


class StateDamagedError(PoisonError):
    """What stands for a patient's alert state is none: it costs this patient's ECGs, nobody else's."""

    code = "STATE_DAMAGED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One scored ECG, as much of it as later decisions need."""

    ecg_id: str
    acquired_at: datetime
    probability: float
    bundle_version: str

    @property
    def order(self) -> tuple[datetime, str]:
        """Acquisition time; of two ECGs of the same microsecond the greater ecg_id is the newer one."""
        return self.acquired_at, self.ecg_id

    @classmethod
    def of(cls, risk: RiskAssessed) -> "Score | None":
        """Take the score out of an assessment; None when it was not scored."""
        if risk.phenotype is Phenotype.NOT_SCORED or risk.probability is None:
            return None
        return cls(
            ecg_id=risk.ecg_id,
            acquired_at=risk.acquired_at.astimezone(UTC),
            probability=risk.probability,
            bundle_version=risk.bundle_version,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """A stay in HIGH.

    Attributes
    ----------
    opening_ecg_id : str
        The ECG that completed the confirmation.
    first_seen : bool
        The patient's first scored ECG opened it.
    alert_ids : tuple of str
        Raised so far: none, ENTERED_HIGH, or ENTERED_HIGH and STEPPED_UP, in this order.
    """

    opening_ecg_id: str
    first_seen: bool
    alert_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientState:
    """Everything a decision needs of the past; the default is a patient never scored.

    Attributes
    ----------
    newest : Score or None
        The newest scored ECG by acquisition; what is not newer moves nothing.
    baseline : Score or None
        The newest score below the enter threshold while the patient was not HIGH: what "rose from" means.
    recent : tuple of Score
        The last confirm_m scores since the state last changed, oldest first.
    episode : Episode or None
        The current stay in HIGH, or, in LOW, the last one.
    last_alert : Score or None
        The ECG of the patient's last alert: start of the lockout, and what a step up is measured from.
    """

    risk_state: RiskState = RiskState.UNKNOWN
    newest: Score | None = None
    baseline: Score | None = None
    recent: tuple[Score, ...] = ()
    episode: Episode | None = None
    last_alert: Score | None = None

    def to_bytes(self) -> bytes:
        """Encode as versioned JSON; equal states give equal bytes."""
        return json.dumps(
            {
                "v": STATE_VERSION,
                "state": self.risk_state,
                "newest": _row(self.newest),
                "baseline": _row(self.baseline),
                "recent": [_row(score) for score in self.recent],
                "episode": _episode_row(self.episode),
                "last_alert": _row(self.last_alert),
            },
            separators=(",", ":"),
        ).encode()

    @classmethod
    def from_bytes(cls, encoded: bytes) -> "PatientState":
        """Decode what :meth:`to_bytes` wrote; unknown keys are ignored.

        Raises
        ------
        StateVersionError
            When the bytes are of another version: the whole stage is to stop.
        StateDamagedError
            When they are no state at all. The message holds nothing of the patient.
        """
        try:
            table = json.loads(encoded)
            version = int(table["v"])
            if version <= STATE_VERSION:
                return _state_of(table)
        except _NO_STATE:
            raise StateDamagedError(
                "the alert state of this patient is damaged: write an empty record under the patient's key "
                "to ecg.alert-state.v1, restart the alert workers, then replay these dead letters"
            ) from None
        raise StateVersionError(
            f"alert state has version {version}, this Diastole reads {STATE_VERSION}; "
            "run the Diastole that wrote it, or a newer one"
        )


def _state_of(table: dict[str, Any]) -> PatientState:
    return PatientState(
        risk_state=RiskState(table["state"]),
        newest=_score(table["newest"]),
        baseline=_score(table["baseline"]),
        recent=tuple(score for row in table["recent"] if (score := _score(row)) is not None),
        episode=_episode(table["episode"]),
        last_alert=_score(table["last_alert"]),
    )


def _row(score: Score | None) -> list[Any] | None:
    if score is None:
        return None
    return [
        score.ecg_id,
        (score.acquired_at - _EPOCH) // _MICROSECOND,
        score.probability,
        score.bundle_version,
    ]


def _score(row: Sequence[Any] | None) -> Score | None:
    if row is None:
        return None
    ecg_id, acquired_us, probability, bundle_version = row
    acquired_at = _EPOCH + acquired_us * _MICROSECOND
    require_uuid("ecg_id", str(ecg_id))  # None would be an id that is not there
    require_utc("acquired_at", acquired_at)
    require_number("probability", probability, 0, 1)
    require_text("bundle_version", bundle_version)
    return Score(
        ecg_id=ecg_id, acquired_at=acquired_at, probability=probability, bundle_version=bundle_version
    )


def _episode_row(episode: Episode | None) -> list[Any] | None:
    return None if episode is None else [episode.opening_ecg_id, episode.first_seen, list(episode.alert_ids)]


def _episode(row: Sequence[Any] | None) -> Episode | None:
    if row is None:
        return None
    opening_ecg_id, first_seen, alert_ids = row
    for each in (opening_ecg_id, *alert_ids):
        require_uuid("opening_ecg_id, alert_ids", str(each))
    return Episode(opening_ecg_id=opening_ecg_id, first_seen=bool(first_seen), alert_ids=tuple(alert_ids))
