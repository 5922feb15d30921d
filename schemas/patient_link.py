"""That two patient identifiers are one patient: the record of ``ecg.patient-link.v1``."""

from dataclasses import dataclass
from datetime import datetime

from schemas.invariants import require, require_patient, require_text, require_utc


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientLinked:
    """One identifier was merged into another; the newest record of a prior identifier holds.

    Nothing already written is rewritten: readers follow the link, and new ECGs go to the survivor.

    Attributes
    ----------
    prior_patient_id : str
        The identifier that is no longer used; also the Kafka key. A pseudonym where the gateway makes them.
    surviving_patient_id : str
        The identifier that stays.
    linked_at : datetime
        UTC; when it was told.
    origin, actor : str
        How it was told (``adt-a40``, ``command``), and by whom.
    is_undone : bool
        The two were found to be different patients after all.
    """

    prior_patient_id: str
    surviving_patient_id: str
    linked_at: datetime
    origin: str
    actor: str
    is_undone: bool = False

    def __post_init__(self) -> None:
        """Refuse a link of a patient to itself; raises InvalidRecordError."""
        require_patient(self.prior_patient_id)
        require_patient(self.surviving_patient_id)
        require(
            self.prior_patient_id != self.surviving_patient_id,
            "surviving_patient_id",
            "must differ from prior_patient_id",
        )
        require_utc("linked_at", self.linked_at)
        require_text("origin", self.origin)
        require_text("actor", self.actor, min_chars=1)
