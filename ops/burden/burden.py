"""What a policy asks of a ward, in numbers with their intervals."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from models.study.estimate import Estimate, share_interval
from ops.burden.intervals import per_100_beds_a_day
from ops.burden.replay import Raised, Replayed, Seen
from schemas.alert import AlertKind
from streams.policy import Policy

#: An alert without a label of its own takes that of the patient's labelled ECG nearest to it within this
#: time: another policy alerts at another ECG of the same illness. Chosen; a wider one mixes illnesses.
LABEL_WITHIN = timedelta(days=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Burden:
    """What a policy would have meant.

    Attributes
    ----------
    rate : Estimate
        Alerts per 100 beds a day; its interval takes alerts as independent, which those of one patient
        are not: it is rather too narrow.
    n_alerts, n_patients_alerted : int
    n_repeats, n_stepped_up : int
        Alerts about a patient after the first one; those of all that are STEPPED_UP.
    first_seen : Estimate
        Share of ENTERED_HIGH alerts whose patient was high on the first ECG.
    high : Estimate
        Share of the patients' observed time in HIGH; without an interval.
    ppv : Estimate or None
        Share of alerts with a label that were right; None without labels of any alert.
    sensitivity : Estimate or None
        Share of patients labelled high who were alerted about; None without such patients.
    n_labelled : int
        Alerts that have a label.
    """

    policy: Policy
    rate: Estimate
    n_alerts: int
    n_patients_alerted: int
    n_repeats: int
    n_stepped_up: int
    first_seen: Estimate
    high: Estimate
    ppv: Estimate | None
    sensitivity: Estimate | None
    n_labelled: int

    @property
    def to_evaluate(self) -> Estimate | None:
        """Alerts to be looked at for one that is right: 1 ÷ PPV; None where none was right."""
        if self.ppv is None or self.ppv.value == 0:
            return None
        low = float("inf") if self.ppv.low == 0 else 1 / self.ppv.low
        return Estimate(value=1 / self.ppv.value, low=1 / self.ppv.high, high=low)


def burden_of(
    replayed: Replayed, seen: Seen, *, beds: int, labels: Mapping[str, bool] | None = None
) -> Burden:
    """Count.

    Parameters
    ----------
    beds : int
        Beds that the replayed patients lie in.
    labels : mapping of str to bool
        Whether the patient has the phenotype, by ``ecg_id``; ECGs that were not replayed are left out.
    """
    alerts = replayed.alerts
    alerted = {alert.patient_id for alert in alerts}
    entered = [alert for alert in alerts if alert.kind is AlertKind.ENTERED_HIGH]
    known = {ecg_id: is_high for ecg_id, is_high in (labels or {}).items() if ecg_id in seen.ecgs}
    by_patient = _by_patient(known, seen)
    judged = [label for alert in alerts if (label := _label(alert, by_patient)) is not None]
    ill = {seen.ecgs[ecg_id][0] for ecg_id, is_high in known.items() if is_high}
    observed = replayed.observed / timedelta(days=1)
    return Burden(
        policy=replayed.policy,
        rate=per_100_beds_a_day(len(alerts), beds=beds, days=seen.days),
        n_alerts=len(alerts),
        n_patients_alerted=len(alerted),
        n_repeats=len(alerts) - len(alerted),
        n_stepped_up=len(alerts) - len(entered),
        first_seen=share_interval(sum(alert.first_seen for alert in entered), len(entered)),
        high=Estimate(value=replayed.high / timedelta(days=1) / observed if observed else float("nan")),
        ppv=share_interval(sum(judged), len(judged)) if judged else None,
        sensitivity=share_interval(len(ill & alerted), len(ill)) if ill else None,
        n_labelled=len(judged),
    )


_Labelled = list[tuple[datetime, str, bool]]


def _by_patient(known: Mapping[str, bool], seen: Seen) -> dict[str, _Labelled]:
    out: dict[str, _Labelled] = {}
    for ecg_id, is_high in known.items():
        patient_id, at = seen.ecgs[ecg_id]
        out.setdefault(patient_id, []).append((at, ecg_id, is_high))
    return out


def _label(alert: Raised, by_patient: Mapping[str, _Labelled]) -> bool | None:
    near = [
        (ecg_id != alert.ecg_id, abs(at - alert.acquired_at), at, ecg_id, is_high)
        for at, ecg_id, is_high in by_patient.get(alert.patient_id, ())
        if abs(at - alert.acquired_at) <= LABEL_WITHIN
    ]
    return min(near)[-1] if near else None
