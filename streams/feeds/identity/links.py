"""Which identifier is in use today: a fold of all merges ever told, in whatever order they are read."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from schemas.errors import PoisonError
from schemas.patient_link import PatientLinked

_MICROSECOND: Final = timedelta(microseconds=1)


class MergeRefusedError(PoisonError):
    """A merge that cannot be: the two are one identifier, or one patient the other way round already."""

    code = "MERGE_REFUSED"


class Links:
    """All links, folded: of each prior identifier the newest record holds.

    Two gateways may each have been told one half of a circle at the same moment. Then the links are followed
    as if the newest of them had not been told, so that there is always one survivor, the same everywhere.
    """

    def __init__(self, records: Iterable[PatientLinked] = ()) -> None:
        self._newest: dict[str, PatientLinked] = {}
        self._next: dict[str, str] | None = None
        for record in records:
            self.enter(record)

    def enter(self, record: PatientLinked) -> None:
        """Take one record in; entering it again, or older ones after newer ones, changes nothing."""
        known = self._newest.get(record.prior_patient_id)
        if known is None or _age(record) > _age(known):
            self._newest[record.prior_patient_id] = record
            self._next = None  # followed anew when somebody asks: at start there are many records, then few

    def survivor_of(self, patient_id: str) -> str:
        """Follow links to their end; itself when it was never merged."""
        return _end(self._followed(), patient_id)

    def newest_of(self, patient_id: str) -> PatientLinked | None:
        """Give the record that holds of an identifier; None when it was never merged."""
        return self._newest.get(patient_id)

    def active(self) -> tuple[PatientLinked, ...]:
        """All links that hold, the oldest first."""
        return tuple(sorted((r for r in self._newest.values() if not r.is_undone), key=_age))

    def family_of(self, patient_id: str) -> tuple[PatientLinked, ...]:
        """Links among all identifiers that have the same survivor as this one, the oldest first."""
        survivor = self.survivor_of(patient_id)
        return tuple(r for r in self.active() if self.survivor_of(r.prior_patient_id) == survivor)

    def identifiers_of(self, patient_id: str) -> frozenset[str]:
        """All identifiers that have the same survivor as this one, it and the survivor among them."""
        following, survivor = self._followed(), self.survivor_of(patient_id)
        priors = (prior for prior in following if _end(following, prior) == survivor)
        return frozenset((survivor, *priors))

    def merging(
        self, prior: str, surviving: str, *, now: datetime, origin: str, actor: str
    ) -> PatientLinked | None:
        """Decide what telling a merge means; None when it is known already.

        A survivor that was itself merged away is fine: the chain is followed. A prior identifier that was
        merged elsewhere is linked anew, as the newest of it holds.

        Raises
        ------
        MergeRefusedError
            When both are one identifier, or the survivor was merged into the prior one.
        """
        if prior == surviving:
            raise MergeRefusedError("both identifiers are the same patient's already; check the message")
        known = self._newest.get(prior)
        if known is not None and not known.is_undone and known.surviving_patient_id == surviving:
            return None
        if prior in self._way_from(surviving):
            raise MergeRefusedError(
                "the surviving identifier was merged into the prior one before; undo that first "
                "(diastole identity unmerge)"
            )
        return PatientLinked(
            prior_patient_id=prior,
            surviving_patient_id=surviving,
            linked_at=_after(known, now),
            origin=origin,
            actor=actor,
        )

    def undoing(self, prior: str, *, now: datetime, origin: str, actor: str) -> PatientLinked | None:
        """Decide what undoing a merge means; None when it is undone already.

        Raises
        ------
        MergeRefusedError
            When the identifier was never merged.
        """
        known = self._newest.get(prior)
        if known is None:
            raise MergeRefusedError("this identifier was never merged into another; nothing to undo")
        if known.is_undone:
            return None
        return PatientLinked(
            prior_patient_id=prior,
            surviving_patient_id=known.surviving_patient_id,
            linked_at=_after(known, now),
            origin=origin,
            actor=actor,
            is_undone=True,
        )

    def _way_from(self, patient_id: str) -> set[str]:
        following, way = self._followed(), {patient_id}
        while patient_id in following:
            patient_id = following[patient_id]
            way.add(patient_id)
        return way

    def _followed(self) -> dict[str, str]:
        if self._next is None:
            self._next = {}
            for record in self.active():
                if _end(self._next, record.surviving_patient_id) != record.prior_patient_id:
                    self._next[record.prior_patient_id] = record.surviving_patient_id
        return self._next


def _end(following: dict[str, str], patient_id: str) -> str:
    while patient_id in following:
        patient_id = following[patient_id]
    return patient_id


def _age(record: PatientLinked) -> tuple[datetime, str, str, bool]:
    # The time decides; the rest makes an order of records told in one microsecond, the same everywhere.
    return record.linked_at, record.prior_patient_id, record.surviving_patient_id, record.is_undone


def _after(known: PatientLinked | None, now: datetime) -> datetime:
    """Now, or just after what is known: what is told last is newest, whichever gateway's clock is behind."""
    return now if known is None else max(now, known.linked_at + _MICROSECOND)
